"""The parts that make requests for models, put together once per runner, and model calls beside the answers of runs."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from ai_agents.attachments.storage import BlobStore
from ai_agents.auth.use import UseRights
from ai_agents.context.budgets import Budgets
from ai_agents.context.catalogue import ModelCatalogue
from ai_agents.context.file_texts import guard_files, has_text_files, without_deleted
from ai_agents.context.purposes import CallPurpose
from ai_agents.context.read_result import ReadResult
from ai_agents.context.requests import AgentCache, ModelSelector, RequestBuilder, has_files
from ai_agents.context.tokens import Meter, TokenEstimator
from ai_agents.core import tracing
from ai_agents.core.exceptions import AIAgentsError, BlobMissing, DatabaseUnavailable
from ai_agents.core.fair_work import FairWork, UserWork
from ai_agents.core.rows import Agent
from ai_agents.core.types import ModelRequest, ModelResponse
from ai_agents.core.upstream import UpstreamSlots
from ai_agents.guardrails.guards import Guards
from ai_agents.guardrails.registry import Ask, build_guardrails, find_guardrails, forget_guardrails
from ai_agents.memory.base import MemoryStrategy
from ai_agents.providers.base import Provider
from ai_agents.providers.registry import ProviderPool
from ai_agents.providers.spans import note_response, start_chat
from ai_agents.store.database import Database
from ai_agents.store.model_calls import CallRecord, insert_call
from ai_agents.store.revocations import role_subject
from ai_agents.tools.registry import ToolSource, prepare_tool

T = TypeVar("T")
# Work on so many takes a few milliseconds.
_FEW_MESSAGES = 300
# The beginning of the subject of a deleted agent.
_AGENT = role_subject("agent", "")


class StageGuards(NamedTuple):
    """An agent's guardrails at each stage; either may be empty."""

    input: Guards
    output: Guards


class Contexts:
    """Agents, their models, their requests and their guardrails. Runs, `/context` and background jobs share them.

    See `AgentRunner` for the arguments; `slots` count the calls beside answers, `budgets` pay for all calls.
    """

    def __init__(
        self,
        database: Database,
        *,
        tools: ToolSource,
        provider: Provider | None = None,
        memory: MemoryStrategy | None = None,
        providers: ProviderPool | None = None,
        rights: UseRights | None = None,
        models: ModelCatalogue | None = None,
        blobs: BlobStore | None = None,
        judges_fail_open: bool = False,
        slots: UpstreamSlots | None = None,
        budgets: Budgets | None = None,
    ) -> None:
        self._database = database
        self.budgets = budgets or Budgets(database)
        self._slots = slots or UpstreamSlots()
        self.compiling = FairWork("compile")
        self.matching = FairWork("match")
        self.agents = AgentCache()
        self.rights = rights or UseRights()
        self.models = ModelSelector(provider, providers, models or ModelCatalogue(servers=providers))
        self.tokens = TokenEstimator()
        self.requests = RequestBuilder(
            self.models,
            self.tokens,
            tools=tools,
            rights=self.rights,
            memory=memory,
            blobs=blobs,
            reader=None if blobs is None else prepare_tool(ReadResult(database, blobs)),
        )
        self._judges_fail_open = judges_fail_open

    async def refresh(self) -> None:
        """Load the list of models and what is known of their tokens, once; save what was learned since."""
        await self.models.catalogue.load()
        await self.tokens.synchronize(self._database)

    async def prepare_guards(self, configs: Sequence[Mapping[str, Any]], purpose: CallPurpose) -> StageGuards:
        """The guardrails with these configurations. Those that are not in memory are compiled first, in turn.

        Raises `InvalidRequest` for a type that is not registered any more.
        """
        user = purpose.user_id or purpose.agent_id
        built = find_guardrails(configs)
        if built is None:
            built = await self.compiling.run(user, build_guardrails, configs)
        ask, fails_open, work = self._ask_judges(purpose), self._judges_fail_open, UserWork(self.matching, user)
        return StageGuards(
            input=Guards(configs, "input", ask=ask, fails_open=fails_open, built=built, work=work),
            output=Guards(configs, "output", ask=ask, fails_open=fails_open, built=built, work=work),
        )

    async def compute(self, user: str, messages: int, work: Callable[[], T]) -> T:
        """The result of pure work on so many messages: for many of them in a thread, in turn between users."""
        return work() if messages <= _FEW_MESSAGES else await self.matching.run(user, work)

    async def check_new(self, configs: Sequence[Mapping[str, Any]], user: str) -> None:
        """Compile the guardrails of an agent that is made or changed. Raises `InvalidRequest`, with its location."""
        if configs:
            await self.compiling.run(user, build_guardrails, configs, are_new=True)

    def forget(self, subjects: Iterable[str]) -> None:
        """Let go of what is kept of agents that were deleted; other subjects are none."""
        agents = {each.removeprefix(_AGENT) for each in subjects if each.startswith(_AGENT)}
        for agent in self.agents.forget(agents) if agents else ():
            forget_guardrails(agent["guardrails"])

    async def load_files(
        self, request: ModelRequest, agent: Agent, purpose: CallPurpose, *, with_data: bool = True
    ) -> ModelRequest:
        """The request with the bytes and texts of its files, without what the agent's guardrails hide of the texts.

        Without `with_data` only texts are read. Raises `StorageUnavailable`, `InvalidRequest`.
        """
        if not has_files(request.messages):
            return request
        try:
            request = await self.requests.load(request, with_data=with_data)
        except BlobMissing:
            # A file may have been deleted since the thread was read.
            messages = await self._database.read(lambda c: without_deleted(c, request.messages))
            if messages == request.messages:
                raise
            request = await self.requests.load(replace(request, messages=messages), with_data=with_data)
        if has_text_files(request):
            guards = await self.prepare_guards(agent["guardrails"], purpose)
            request = await guard_files(request, guards.input)
        return request

    async def complete(self, provider: Provider, request: ModelRequest, purpose: CallPurpose) -> ModelResponse:
        """A model's whole response. The call is recorded, also where it fails.

        Raises what the provider raises, and `BudgetExceeded`.
        """
        await self.models.catalogue.load()
        tokens = self.tokens.for_model(provider.name, request.model)
        input_tokens = sum(map(tokens.message, request.messages)) + tokens.text(request.system or "")
        account = self.budgets.account(purpose)
        meter = Meter(tokens, self.models.catalogue, input_tokens=input_tokens, account=account)
        await meter.claim(request.settings.max_tokens)
        try:
            return await self._complete(provider, request, purpose, meter)
        finally:
            if account is not None:
                account.close()

    async def _complete(
        self, provider: Provider, request: ModelRequest, purpose: CallPurpose, meter: Meter
    ) -> ModelResponse:
        try:
            with self._slots.counted():
                response = await _traced(provider, request)
        except AIAgentsError as error:
            await self._record(meter.aborted("failed", (), error), purpose)
            raise
        except asyncio.CancelledError:
            await asyncio.shield(self._record(meter.aborted("cancelled", ()), purpose))
            raise
        await self._record(meter.completed(response), purpose)
        return response

    async def require_provider(self, agent_id: str | None, provider: str) -> None:
        """Raises `PermissionDenied` unless an owner of the agent may use the provider."""
        if agent_id is not None and not self.rights.is_open("provider", provider):
            await self._database.read(lambda c: self.rights.require_provider(c, agent_id, provider))

    def _ask_judges(self, purpose: CallPurpose) -> Ask:
        """How guardrails ask the models of their judges."""

        async def ask(provider: str, request: ModelRequest) -> ModelResponse:
            await self.require_provider(purpose.agent_id, provider)
            found, _ = self.models.choose({"provider": provider, "model": request.model})
            with tracing.spanned(tracing.JUDGE, {}):
                return await self.complete(found, request, purpose)

        return ask

    async def _record(self, call: CallRecord, purpose: CallPurpose) -> None:
        """In a transaction of its own: the call was made and paid for, even if its answer is useless."""
        with suppress(DatabaseUnavailable):
            await self._database.write(
                lambda c: insert_call(
                    c,
                    call,
                    run_id=purpose.run_id,
                    thread_id=purpose.thread_id,
                    agent_id=purpose.agent_id,
                    user_id=purpose.user_id,
                )
            )


async def _traced(provider: Provider, request: ModelRequest) -> ModelResponse:
    """The whole response, in a span of its own."""
    span = start_chat(provider.name, request)
    if span is None:
        return await provider.complete(request)
    try:
        with tracing.within(span):
            response = await provider.complete(request)
    except BaseException as error:
        tracing.end(span, error=error)
        raise
    note_response(span, response)
    tracing.end(span)
    return response
