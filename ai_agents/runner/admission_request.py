"""What is asked of the admission of a message, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ai_agents.core.rows import Message, Run, RunOverrides
from ai_agents.core.scopes import AgentScope
from ai_agents.core.types import FilePart, TextPart, ToolDefinition
from ai_agents.runner.input_guarding import Verdict
from ai_agents.runner.ownership import NO_FOLLOW_UP, FollowUp

OnBusy = Literal["reject", "queue", "interrupt", "steer"]


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """A message for a thread, and how to treat it.

    `attachments` are ids of files that come after the parts. `verdict` is what the agent's input guardrails allow of
    this very message. `key_id` is the API key or token with which it was sent. `key_within_s`: see `MessageOptions`.
    `client_tools` and `overrides` are checked already. With `retry_of` there is no new message: a new run answers that
    of this run. `trace` is the `traceparent` of what sends it.
    Nothing outside `within` is seen: not the thread, and no file.
    """

    thread_id: str
    user_id: str
    parts: Sequence[TextPart | FilePart]
    metadata: Mapping[str, Any] | None = None
    on_busy: OnBusy = "reject"
    idempotency_key: str | None = None
    fingerprint: str = ""
    key_within_s: float | None = None
    is_admin: bool = False
    within: AgentScope | None = None
    key_id: str | None = None
    attachments: Sequence[str] = ()
    verdict: Verdict | None = None
    client_tools: Sequence[ToolDefinition] = ()
    overrides: RunOverrides | None = None
    retry_of: str | None = None
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """The run of an admitted message, or the run that it joins, and the message itself.

    To follow up: the run, where it starts at once, or another run that has to be stopped first.
    `replayed` says that the idempotency key was used before for this very request: the run is the one of then.
    `is_held` says that the run waits until a process has a slot for it.
    """

    run: Run
    message_id: str
    follow_up: FollowUp = NO_FOLLOW_UP
    user_message: Message | None = None
    replayed: bool = False
    is_held: bool = False
