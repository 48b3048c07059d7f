"""Memory strategies by name, with options from the caller or from an agent's `memory` field."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.factories import check_factory
from ai_agents.core.wording import there_are
from ai_agents.memory.base import MemoryStrategy
from ai_agents.memory.strategies import FirstLast, LastN, Summarize, TokenWindow

MemoryFactory = Callable[..., MemoryStrategy]
# Each turn reads its whole window into the process's memory. For longer windows there is `token_window`.
_MOST_MESSAGES = 10_000
_MOST_TOKENS = 10_000_000
_MOST_STEP = 1_000
# The least and the greatest value of each option.
_RANGES: dict[str, dict[str, tuple[int, int]]] = {
    LastN.name: {"n": (1, _MOST_MESSAGES), "step": (1, _MOST_STEP)},
    FirstLast.name: {"first": (0, _MOST_MESSAGES), "last": (1, _MOST_MESSAGES), "step": (1, _MOST_STEP)},
    Summarize.name: {"recent": (1, _MOST_MESSAGES)},
    TokenWindow.name: {"max_tokens": (1, _MOST_TOKENS)},
}
BUILT_IN_STRATEGIES = frozenset(_RANGES)
_factories: dict[str, MemoryFactory] = {each.name: each for each in (LastN, FirstLast, Summarize, TokenWindow)}


def register_memory_strategy(name: str, factory: MemoryFactory) -> None:
    """Make `get_memory_strategy(name, **options)` return `factory(**options)`.

    The factory raises `InvalidRequest` for options that it does not take. Raises `InvalidRequest` for an empty name or
    the name of a built-in strategy, TypeError for an object in place of its class.
    """
    check_factory("register_memory_strategy", factory)
    if not name or name in _RANGES:
        raise InvalidRequest(f"The name {name!r} cannot be given to a memory strategy.", loc=("memory", "strategy"))
    _factories[name] = factory


def list_memory_strategies() -> list[str]:
    """The names that `get_memory_strategy` knows, sorted."""
    return sorted(_factories)


def get_memory_strategy(name: str, /, **options: Any) -> MemoryStrategy:
    """The strategy of this name. Options that are missing have the strategy's defaults.

    Raises `InvalidRequest` for an unknown name, an unknown option or a value out of range.
    """
    factory = _factories.get(name)
    if factory is None:
        sentence = f"There is no memory strategy of this name; {there_are(list_memory_strategies())}."
        raise InvalidRequest(sentence, loc=("memory", "strategy"))
    if name in _RANGES:
        _check(name, options)
    else:
        try:
            inspect.signature(factory).bind(**options)
        except TypeError as error:
            raise InvalidRequest(f"The memory strategy {name} cannot be made: {error}.", loc=("memory",)) from error
    return factory(**options)


def strategy_from_config(config: Mapping[str, Any]) -> MemoryStrategy:
    """The strategy that an agent's `memory` field describes, such as `{"strategy": "last_n", "n": 20}`.

    Raises `InvalidRequest` as `get_memory_strategy` does.
    """
    options = dict(config)
    name = options.pop("strategy", None)
    return get_memory_strategy(name if isinstance(name, str) else "", **options)


def _check(name: str, options: Mapping[str, Any]) -> None:
    ranges = _RANGES[name]
    for option, value in options.items():
        if option not in ranges:
            sentence = f"The memory strategy {name} takes: {', '.join(ranges)}."
            raise InvalidRequest(sentence, loc=("memory", option))
        least, most = ranges[option]
        if type(value) is not int or not least <= value <= most:
            sentence = f"{option} of the memory strategy {name} is a whole number from {least} to {most}."
            raise InvalidRequest(sentence, loc=("memory", option))
