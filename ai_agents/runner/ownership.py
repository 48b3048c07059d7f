"""Who owns runs: a process, under leases that it has to renew."""

import os
import socket
from dataclasses import dataclass

from ai_agents.core.ids import new_id


@dataclass(frozen=True, slots=True)
class NewLease:
    """The lease of a run that begins or goes on: its owner, and how many seconds it lasts."""

    owner: str
    lease_s: float


class ProcessOwner:
    """This process as an owner of runs. `lease` is for runs that begin here; it is None while the process stops."""

    def __init__(self, lease_s: float) -> None:
        self.name = f"{socket.gethostname()[:20]}-{os.getpid()}-{new_id()[-8:]}"
        self.lease: NewLease | None = NewLease(self.name, lease_s)

    def refuse_runs(self) -> None:
        """Own no further runs: the process stops."""
        self.lease = None
