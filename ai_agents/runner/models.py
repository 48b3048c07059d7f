"""The models of one run: the agent's own and its fallbacks, each with a request in its own measure."""

from ai_agents.context.compaction import CompactingModel, notices_of
from ai_agents.context.meter import Meter
from ai_agents.context.side_calls import CallPurpose
from ai_agents.core.rows import Agent, ModelName, Notice
from ai_agents.core.types import ModelRequest
from ai_agents.providers.fallback import Candidate
from ai_agents.runner.input_guarding import guard_files, has_text_files
from ai_agents.runner.inputs import InputReader, TurnInputs
from ai_agents.store.runs import OwnedRun


class TurnModel(Candidate):
    """One of the agent's models in one run: its own (`place` 0) or a fallback.

    `meter` counts its calls once it is prepared. What its request leaves out is added to `notices`.
    """

    meter: Meter

    def __init__(
        self, reader: InputReader, run: OwnedRun, place: int, *, name: ModelName, notices: list[Notice]
    ) -> None:
        super().__init__(name["provider"], name["model"])
        self._reader = reader
        self._run = run
        self._place = place
        self._notices = notices
        self._opened: CompactingModel | None = None

    async def open(self) -> CompactingModel:
        """The model with its request, for the thread as it is now. Raises what `prepare` and the reader raise."""
        if self._opened is None:
            return await self.prepare(await self._reader.fetch(self._run, self._place))
        return self._opened

    async def prepare(self, inputs: TurnInputs) -> CompactingModel:
        """Build the request.

        Raises `ContextOverflow`, `InvalidRequest`, `UnsupportedAttachment`, `StorageUnavailable`.
        """
        contexts = self._reader.contexts
        agent, provider, model = inputs.agent, inputs.provider, inputs.model
        built = contexts.requests.build(agent, inputs.window, provider.name, model, tools=inputs.tools)
        self.meter = Meter(
            provider.name,
            model,
            contexts.models.catalogue,
            contexts.tokens.for_model(provider.name, model),
            input_tokens=built.account.total_tokens,
            estimator=contexts.tokens,
            uncalibrated_tokens=built.account.uncalibrated_tokens,
        )
        request = await self._guarded(agent, await contexts.requests.load(built.request))
        self._notices += notices_of(built.account)
        self._opened = CompactingModel(provider, request, self._notices)
        return self._opened

    async def _guarded(self, agent: Agent, request: ModelRequest) -> ModelRequest:
        if not has_text_files(request):
            return request
        guards = await self._reader.contexts.guards.prepare(agent["guardrails"], purpose_of(self._run))
        return await guard_files(request, guards.input)


def purpose_of(run: OwnedRun) -> CallPurpose:
    """What side calls of a run are made for."""
    return CallPurpose(run.thread_id, run.agent_id, run_id=run.id, user_id=run.user_id)
