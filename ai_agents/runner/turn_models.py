"""The models of a turn: each with the request that it is sent and what counts its calls."""

from dataclasses import replace
from functools import partial
from typing import Self

from ai_agents.context.budgets import BudgetAccount
from ai_agents.context.builder import notice_of, notices_of, oldest_half
from ai_agents.context.notices import add_notices
from ai_agents.context.purposes import CallPurpose
from ai_agents.context.tokens import Meter
from ai_agents.core.exceptions import ContextExceeded
from ai_agents.core.notices import Notice
from ai_agents.core.rows import Agent, ModelName
from ai_agents.core.types import ModelRequest
from ai_agents.providers.base import Provider
from ai_agents.providers.fallback import BegunStream, Candidate, begin_stream
from ai_agents.runner.inputs import InputReader
from ai_agents.runner.ownership import TurnInputs
from ai_agents.store.runs import OwnedRun


class TurnModel(Candidate):
    """One of the agent's models in one run: its own (`place` 0) or a fallback.

    `inputs`, `request` and `meter`, which counts its calls, are there once it is prepared. What its requests leave out
    is added to `notices`. All requests of a turn begin with the same messages, so that what was left out once stays
    out. `account` pays for the run's calls; it is None where there is no budget.
    """

    inputs: TurnInputs
    request: ModelRequest
    meter: Meter

    def __init__(
        self,
        reader: InputReader,
        run: OwnedRun,
        place: int,
        *,
        name: ModelName,
        notices: list[Notice],
        account: BudgetAccount | None,
    ) -> None:
        super().__init__(name["provider"], name["model"])
        self.place = place
        self.account = account
        self._reader = reader
        self._run = run
        self._notices = notices
        self._is_prepared = False
        self._left_out: tuple[int, int] | None = None

    async def open(self) -> Self:
        """The model with its request, for the thread as it is now. Raises what `prepare` and the reader raise."""
        if not self._is_prepared:
            await self.prepare(await self._reader.fetch(self._run, self.place))
        return self

    async def prepare(self, inputs: TurnInputs) -> None:
        """Build the request.

        Raises `ContextOverflow`, `InvalidRequest`, `UnsupportedAttachment`, `StorageUnavailable`.
        """
        self.inputs = inputs = await self._reader.prepare_model(self._run, inputs, self.place)
        contexts = self._reader.contexts
        agent, provider, model = inputs.agent, inputs.provider, inputs.model
        build = partial(contexts.requests.build, agent, inputs.window, provider.name, model, tools=inputs.tools)
        built = await contexts.compute(self._run.user_id, len(inputs.window.messages), build)
        self.meter = Meter(
            contexts.tokens.for_model(provider.name, model),
            contexts.models.catalogue,
            input_tokens=built.account.total_tokens,
            estimator=contexts.tokens,
            uncalibrated_tokens=built.account.uncalibrated_tokens,
            account=self.account,
        )
        self.request = await contexts.load_files(built.request, agent, purpose_of(self._run, agent))
        add_notices(self._notices, [*notices_of(built.account), *provider.left_out(self.request)])
        self._is_prepared = True

    async def begin(self, request: ModelRequest) -> BegunStream:
        """Begin to stream a response. A provider that finds the request too long is asked once more with half of it.

        Raises `ContextExceeded` where nothing more can be left out, `ProviderNotConfigured` where it was deleted,
        `BudgetExceeded`.
        """
        if self.account is not None:
            await self.meter.claim(request.settings.max_tokens)
        try:
            return await begin_stream(self._provider(), self._shortened(request))
        except ContextExceeded:
            found = oldest_half(request) if self._left_out is None else None
            if found is None:
                raise
        self._left_out = found
        start, end = found
        seqs = [message.seq or 0 for message in request.messages[start:end]]
        self._notices.append(notice_of(end - start, max(seqs), "provider"))
        return await begin_stream(self._provider(), self._shortened(request))

    def _provider(self) -> Provider:
        """The provider as it is now: it may have been changed, or deleted, since the run began."""
        return self._reader.contexts.models.get_provider(self.inputs.provider.name)

    def _shortened(self, request: ModelRequest) -> ModelRequest:
        if self._left_out is None:
            return request
        start, end = self._left_out
        return replace(request, messages=(*request.messages[:start], *request.messages[end:]))


def purpose_of(run: OwnedRun, agent: Agent) -> CallPurpose:
    """What side calls of a run are made for."""
    return CallPurpose.of_agent(agent, run.thread_id, user_id=run.user_id, by_admin=run.by_admin, run_id=run.id)
