"""What a model would be sent of a thread."""

from collections.abc import Mapping
from typing import Any

import orjson

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.rows import ContextView
from app.container import Container
from app.errors import invalid_query
from app.services.identity import Principal


async def read_context(
    container: Container,
    user: Principal,
    thread_id: str,
    *,
    provider: str | None,
    model: str | None,
    strategy: str | None,
) -> ContextView:
    """The request that a model would get now, see `AgentRunner.context`.

    Raises `ThreadNotFound`, and `InvalidFields` for an unknown provider or strategy.
    """
    try:
        return await container.runner.context(
            thread_id,
            user.user_id,
            provider=provider,
            model=model,
            strategy=None if strategy is None else _parse_strategy(strategy),
            is_admin=user.is_admin,
        )
    except InvalidRequest as error:
        # A strategy's error names the field of an agent, `memory`; here the strategy comes from a parameter.
        name = "strategy" if not error.loc or error.loc[0] == "memory" else str(error.loc[0])
        raise invalid_query(name, str(error)) from error


def _parse_strategy(strategy: str) -> str | Mapping[str, Any]:
    """The name of a strategy, or the JSON of an agent's `memory`. Raises `InvalidFields`."""
    if not strategy.lstrip().startswith("{"):
        return strategy
    try:
        found: dict[str, Any] = orjson.loads(strategy)
    except ValueError as error:
        raise invalid_query("strategy", "should be a name, or an object as JSON") from error
    return found
