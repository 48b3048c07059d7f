"""Asking a model beside the answers of runs: for a title, a summary, a verdict. Each call is written down."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from ai_agents.context.contexts import Contexts
from ai_agents.context.meter import Meter
from ai_agents.core.exceptions import AIAgentsError, DatabaseUnavailable
from ai_agents.core.types import ModelRequest, ModelResponse
from ai_agents.guardrails.judge import Ask
from ai_agents.providers.base import Provider
from ai_agents.store.database import Database
from ai_agents.store.model_calls import CallRecord, insert_call


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a call is made for: whose thread and agent, and the run and user where there is one."""

    thread_id: str | None
    agent_id: str | None
    run_id: str | None = None
    user_id: str | None = None


async def complete(
    database: Database, contexts: Contexts, provider: Provider, request: ModelRequest, purpose: Purpose
) -> ModelResponse:
    """A model's whole response; the call is written down, whatever becomes of it. Raises as the provider does."""
    await contexts.models.load()
    tokens = contexts.tokens(provider.name, request.model)
    asked = sum(map(tokens.message, request.messages)) + tokens.text(request.system or "")
    meter = Meter(
        provider.name,
        request.model,
        models=contexts.models,
        tokens=tokens,
        input_tokens=asked,
        observe=lambda _usage: None,
    )
    try:
        response = await provider.complete(request)
    except AIAgentsError as error:
        await _write_down(database, meter.aborted("failed", (), error), purpose)
        raise
    except asyncio.CancelledError:
        await asyncio.shield(_write_down(database, meter.aborted("cancelled", ()), purpose))
        raise
    await _write_down(database, meter.completed(response), purpose)
    return response


def asks_judges(database: Database, contexts: Contexts, purpose: Purpose) -> Ask:
    """How guardrails reach the models of their judges."""

    async def ask(provider: str, request: ModelRequest) -> ModelResponse:
        found, _ = contexts.choose({"provider": provider, "model": request.model})
        return await complete(database, contexts, found, request, purpose)

    return ask


async def _write_down(database: Database, call: CallRecord, purpose: Purpose) -> None:
    """In a transaction of its own: the call was made, whatever its answer is good for."""
    with suppress(DatabaseUnavailable):
        await database.write(
            lambda c: insert_call(
                c,
                call,
                run_id=purpose.run_id,
                thread_id=purpose.thread_id,
                agent_id=purpose.agent_id,
                user_id=purpose.user_id,
            )
        )
