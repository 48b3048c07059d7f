"""What a process does once a transaction of the runner is committed."""

from dataclasses import dataclass
from typing import Literal, Protocol

from ai_agents.runner.inputs import TurnInputs
from ai_agents.store.runs import OwnedRun

# How a process gets a run: it admitted the message, it took the run over from a lost process, or it resumes a run that
# had no owner.
RunOrigin = Literal["admitted", "lost", "resumed"]


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Execute `run` here, stop the run `cancel_run_id`, announce the background jobs `job_ids`.

    `inputs` are what the transaction read of the run already.
    """

    run: OwnedRun | None = None
    origin: RunOrigin = "admitted"
    inputs: TurnInputs | None = None
    cancel_run_id: str | None = None
    job_ids: tuple[str, ...] = ()


NO_FOLLOW_UP = FollowUp()


class HasFollowUp(Protocol):
    """The result of a transaction that this process has to follow up."""

    @property
    def follow_up(self) -> FollowUp:
        """What is to be done after the commit."""
        ...
