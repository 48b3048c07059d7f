"""Who owns runs, under leases that have to be renewed, and what a process does once a transaction is committed."""

import os
import socket
from dataclasses import dataclass
from typing import Literal, Protocol

from ai_agents.core.ids import new_id
from ai_agents.core.rows import Agent
from ai_agents.core.types import ModelMessage
from ai_agents.memory.base import Window
from ai_agents.providers.base import Provider
from ai_agents.store.runs import OwnedRun
from ai_agents.tools.registry import ToolSet


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


# How a process gets a run: it admitted the message, it begins a run of a queue, it took the run over from a lost
# process, or it resumes a run that had no owner. A run of this process that messages have joined is steered.
RunOrigin = Literal["admitted", "queued", "lost", "resumed", "steered"]


@dataclass(frozen=True, slots=True)
class TurnInputs:
    """The agent, the part of the history that one of its models is sent, and the tools.

    `earlier` are the messages that the run recorded before it was taken over, or messages joined it; the window holds
    them as well.
    """

    agent: Agent
    window: Window
    earlier: tuple[ModelMessage, ...]
    provider: Provider
    model: str
    tools: ToolSet


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
