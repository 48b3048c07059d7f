"""Model calls beside the answers of runs: for a title, a summary, a judge's verdict. Each call is recorded."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from ai_agents.context.meter import Meter
from ai_agents.context.models import ModelSelector
from ai_agents.context.tokens import SavedTokenEstimator
from ai_agents.core.exceptions import AIAgentsError, DatabaseUnavailable
from ai_agents.core.types import ModelRequest, ModelResponse
from ai_agents.guardrails.judge import Ask
from ai_agents.providers.base import Provider
from ai_agents.store.database import Database
from ai_agents.store.model_calls import CallRecord, insert_call


@dataclass(frozen=True, slots=True)
class CallPurpose:
    """What a model call is made for: the thread and agent, and the run and user where there is one."""

    thread_id: str | None
    agent_id: str | None
    run_id: str | None = None
    user_id: str | None = None


class SideCalls:
    """Makes model calls and records what they used."""

    def __init__(self, database: Database, models: ModelSelector, tokens: SavedTokenEstimator) -> None:
        self._database = database
        self._models = models
        self._tokens = tokens

    async def complete(self, provider: Provider, request: ModelRequest, purpose: CallPurpose) -> ModelResponse:
        """A model's whole response. The call is recorded, also where it fails. Raises what the provider raises."""
        await self._models.catalogue.load()
        tokens = self._tokens.for_model(provider.name, request.model)
        input_tokens = sum(map(tokens.message, request.messages)) + tokens.text(request.system or "")
        meter = Meter(provider.name, request.model, self._models.catalogue, tokens, input_tokens=input_tokens)
        try:
            response = await provider.complete(request)
        except AIAgentsError as error:
            await self._record(meter.aborted("failed", (), error), purpose)
            raise
        except asyncio.CancelledError:
            await asyncio.shield(self._record(meter.aborted("cancelled", ()), purpose))
            raise
        await self._record(meter.completed(response), purpose)
        return response

    def ask_judges(self, purpose: CallPurpose) -> Ask:
        """How guardrails ask the models of their judges."""

        async def ask(provider: str, request: ModelRequest) -> ModelResponse:
            found, _ = self._models.choose({"provider": provider, "model": request.model})
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
