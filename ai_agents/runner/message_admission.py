"""Admission of messages with the verdict of input guardrails, which judge a message between two transactions."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from ai_agents.context.contexts import Contexts
from ai_agents.context.side_calls import CallPurpose
from ai_agents.core.exceptions import Overloaded
from ai_agents.core.rows import Agent
from ai_agents.core.types import FilePart, TextPart
from ai_agents.runner.admission import AdmissionRequest, Admitted, Admitter, NeedsVerdict
from ai_agents.runner.input_guarding import JudgedMessage, Verdict, judge_message
from ai_agents.runner.ownership import NewLease
from ai_agents.runner.preparation import TurnPreparer
from ai_agents.runner.process.executor import Executor


class MessageAdmission:
    """Admits messages for one runner."""

    def __init__(self, executor: Executor, preparer: TurnPreparer, contexts: Contexts) -> None:
        self._executor = executor
        self._preparer = preparer
        self._contexts = contexts
        self._admitter = Admitter(preparer.reader)

    async def admit(self, request: AdmissionRequest) -> Admitted:
        """Admit a message. Raises what `Admitter.admit` raises, `GuardrailBlocked`, `Overloaded`."""
        while True:
            lease = self._executor.lease
            if lease is None:
                raise Overloaded("This process is stopping.", retry_after_s=1)
            result = await self._try_to_admit(request, lease)
            if isinstance(result, Admitted):
                return result
            message = await self.judge(result.agent, result.parts, request.user_id, thread_id=request.thread_id)
            verdict = Verdict(result.agent["id"], result.agent["version"], message)
            request = replace(request, parts=message.parts, attachments=(), verdict=verdict)

    async def judge(
        self, agent: Agent, parts: Sequence[TextPart | FilePart], user_id: str, *, thread_id: str | None = None
    ) -> JudgedMessage:
        """What the agent's input guardrails allow of a message. Raises `GuardrailBlocked`, `StorageUnavailable`."""
        purpose = CallPurpose(thread_id, agent["id"], user_id=user_id)
        guards = await self._contexts.guards.prepare(agent["guardrails"], purpose)
        return await judge_message(guards.input, parts, self._contexts.requests.blobs)

    async def _try_to_admit(self, request: AdmissionRequest, lease: NewLease) -> Admitted | NeedsVerdict:
        def work(connection: Connection) -> Admitted:
            result = self._admitter.admit(connection, request, lease)
            if isinstance(result, NeedsVerdict):
                raise _RollBack(result)
            return result

        try:
            return await self._executor.commit(work, self._preparer)
        except _RollBack as undone:
            return undone.result


class _RollBack(Exception):
    """Undoes the transaction of an admission that needs a verdict first, and carries its result out of it."""

    def __init__(self, result: NeedsVerdict) -> None:
        super().__init__()
        self.result = result
