"""The span of a run, as long as this process executes it."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from ai_agents.core import tracing
from ai_agents.core.ids import seconds_since
from ai_agents.core.types import Usage
from ai_agents.providers.spans import provider_name, usage_attributes
from ai_agents.runner.ending import EndedRun
from ai_agents.runner.ownership import RunOrigin, TurnInputs
from ai_agents.store.runs import OwnedRun

if TYPE_CHECKING:
    from opentelemetry.trace import Span

# How a run came here that has waited until now: in its thread's queue, or for a process.
_HAS_WAITED = "queued"


class RunSpan:
    """The span `invoke_agent`. It belongs to the request that sent the run's message, in whatever process that was.

    A run that another process began, or that has waited for an approval, goes on in a span of its own beside the first.
    """

    def __init__(self, run: OwnedRun | None, origin: RunOrigin = "admitted") -> None:
        self._span: Span | None = None
        if run is None or not tracing.is_on():
            return
        attributes = {
            tracing.OPERATION: tracing.INVOKE_AGENT,
            tracing.CONVERSATION_ID: run.thread_id,
            tracing.AGENT_ID: run.agent_id,
            tracing.AGENT_VERSION: str(run.agent_version),
            tracing.RUN_ID: run.id,
            tracing.RUN_ATTEMPT: run.attempt,
            tracing.RUN_ORIGIN: origin,
            tracing.RUN_WAITED_S: seconds_since(run.created_at) if origin == _HAS_WAITED else None,
        }
        self._span = tracing.start(tracing.INVOKE_AGENT, attributes, parent=run.trace, link=tracing.current())

    def within(self) -> AbstractContextManager[None]:
        """Let this task be in the span."""
        return tracing.within(self._span)

    def note_prepared(self, inputs: TurnInputs) -> None:
        """The agent and its first model are known."""
        if self._span is not None:
            name = inputs.agent["name"]
            self._span.update_name(f"{tracing.INVOKE_AGENT} {name}")
            of_model = {tracing.PROVIDER: provider_name(inputs.provider.name), tracing.REQUEST_MODEL: inputs.model}
            tracing.add(self._span, {tracing.AGENT_NAME: name, **of_model})

    def end(self, ended: EndedRun | None, *, left: str | None) -> None:
        """The run has ended, or does not go on here: it waits, or (`left`) another process has it."""
        if self._span is None:
            return
        if ended is None:
            tracing.end(self._span, {tracing.RUN_STATUS: left or "waiting"})
            return
        run = ended.run
        counts = run["usage"]
        usage = {} if counts is None else usage_attributes(Usage(**counts))
        code = None if run["error"] is None else run["error"]["code"]
        tracing.end(self._span, {tracing.RUN_STATUS: run["status"], **usage}, error=code)


NO_SPAN = RunSpan(None)
