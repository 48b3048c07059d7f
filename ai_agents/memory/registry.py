"""Memory strategies by name, with options from the caller or from an agent's `memory` field."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.memory.base import MemoryStrategy
from ai_agents.memory.first_last import FirstLast
from ai_agents.memory.last_n import LastN
from ai_agents.memory.summarize import Summarize
from ai_agents.memory.token_window import TokenWindow

MemoryFactory = Callable[..., MemoryStrategy]
# Each turn reads its whole window into the process's memory. For longer windows there is `token_window`.
_MOST_MESSAGES = 10_000
_MOST_TOKENS = 10_000_000


class _Range(NamedTuple):
    least: int
    most: int


_RANGES: dict[str, dict[str, _Range]] = {
    LastN.name: {"n": _Range(1, _MOST_MESSAGES)},
    FirstLast.name: {"first": _Range(0, _MOST_MESSAGES), "last": _Range(1, _MOST_MESSAGES)},
    Summarize.name: {"recent": _Range(1, _MOST_MESSAGES)},
    TokenWindow.name: {"max_tokens": _Range(1, _MOST_TOKENS)},
}
BUILT_IN_STRATEGIES = frozenset(_RANGES)
_factories: dict[str, MemoryFactory] = {
    LastN.name: LastN,
    FirstLast.name: FirstLast,
    Summarize.name: Summarize,
    TokenWindow.name: TokenWindow,
}


def register_memory_strategy(name: str, factory: MemoryFactory) -> None:
    """Make `get_memory_strategy(name, **options)` return `factory(**options)`.

    The factory raises `InvalidRequest` for options that it does not take. Raises `InvalidRequest` for an empty name or
    the name of a built-in strategy.
    """
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
        raise _unknown()
    if name in _RANGES:
        _check(name, options)
    else:
        _check_signature(name, factory, options)
    return factory(**options)


def strategy_from_config(config: Mapping[str, Any]) -> MemoryStrategy:
    """The strategy that an agent's `memory` field describes, such as `{"strategy": "last_n", "n": 20}`.

    Raises `InvalidRequest` as `get_memory_strategy` does.
    """
    name = config.get("strategy")
    if not isinstance(name, str):
        raise _unknown()
    return get_memory_strategy(name, **{key: value for key, value in config.items() if key != "strategy"})


def _unknown() -> InvalidRequest:
    known = ", ".join(list_memory_strategies())
    return InvalidRequest(f"There is no memory strategy of this name; there are: {known}.", loc=("memory", "strategy"))


def _check(name: str, options: Mapping[str, Any]) -> None:
    ranges = _RANGES[name]
    for option, value in options.items():
        if option not in ranges:
            known = ", ".join(ranges)
            raise InvalidRequest(f"The memory strategy {name} takes: {known}.", loc=("memory", option))
        least, most = ranges[option]
        if type(value) is not int or not least <= value <= most:
            sentence = f"{option} of the memory strategy {name} is a whole number from {least} to {most}."
            raise InvalidRequest(sentence, loc=("memory", option))


def _check_signature(name: str, factory: MemoryFactory, options: Mapping[str, Any]) -> None:
    try:
        inspect.signature(factory).bind(**options)
    except TypeError as error:
        raise InvalidRequest(f"The memory strategy {name} cannot be made: {error}.", loc=("memory",)) from error
