"""How often a process that runs turns does what."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. A lease lasts for three renewals, so that one slow renewal loses no run."""

    lease_s: float = 10.0
    renew_every_s: float = 3.0
    sweep_every_s: float = 2.0
    # Cancellations from other processes usually come over the bus; this is for when it is away.
    cancel_poll_s: float = 0.5
    # Approval deadlines are a day away, so that some seconds do not matter.
    expire_every_s: float = 15.0
    # Expired keys and tickets are refused anyway; this only frees their space.
    tidy_every_s: float = 600.0


DEFAULT_TIMING = Timing()
