"""What a model would be sent of a thread, asked for by names in a query."""

from collections.abc import Mapping
from typing import Any

import orjson

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.types import JsonObject
from app.container import Container, Principal
from app.problems import InvalidBody


async def read_context(
    services: Container,
    user: Principal,
    thread_id: str,
    *,
    provider: str | None,
    model: str | None,
    strategy: str | None,
) -> JsonObject:
    """See `AgentRunner.context`. Raises `ThreadNotFound`, `InvalidBody` for what is not known here."""
    try:
        return await services.runner.context(
            thread_id,
            user.user_id,
            provider=provider,
            model=model,
            strategy=None if strategy is None else _parse_strategy(strategy),
            is_admin=user.is_admin,
        )
    except InvalidRequest as error:
        # A strategy's error names the agent's field that it usually comes from.
        name = "strategy" if error.loc[:1] == ("memory",) else error.loc[0] if error.loc else "strategy"
        raise InvalidBody([{"loc": ["query", name], "msg": str(error)}]) from error


def _parse_strategy(strategy: str) -> str | Mapping[str, Any]:
    """A name, or what an agent's `memory` may be, as JSON. Raises `InvalidBody`."""
    if not strategy.lstrip().startswith("{"):
        return strategy
    try:
        found: dict[str, Any] = orjson.loads(strategy)
    except ValueError as error:
        raise InvalidBody([{"loc": ["query", "strategy"], "msg": "should be a name, or an object as JSON"}]) from error
    return found
