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
    """This process as an owner of runs. `accepts_runs` becomes False when it stops."""

    def __init__(self, lease_s: float) -> None:
        self.name = f"{socket.gethostname()[:20]}-{os.getpid()}-{new_id()[-8:]}"
        self.accepts_runs = True
        self._lease = NewLease(self.name, lease_s)

    @property
    def lease(self) -> NewLease | None:
        """The lease of a run that begins here; None while the process stops."""
        return self._lease if self.accepts_runs else None
