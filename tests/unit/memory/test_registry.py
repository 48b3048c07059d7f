"""Memory strategies by name."""

from typing import Any

import pytest

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.memory.base import HistoryReader, MemoryStrategy, Window
from ai_agents.memory.registry import (
    get_memory_strategy,
    list_memory_strategies,
    register_memory_strategy,
    strategy_from_config,
)
from ai_agents.memory.strategies import FirstLast, LastN, Summarize, TokenWindow

pytestmark = pytest.mark.usefixtures("own_registries")


class Nothing(MemoryStrategy):
    """Chooses the last message only."""

    name = "nothing"

    def __init__(self, *, because: str = "") -> None:
        self.because = because

    def window(self, history: HistoryReader) -> Window:
        return Window(tuple(history.latest(1)))


@pytest.mark.parametrize(
    "config, expected",
    [
        ({"strategy": "last_n", "n": 20}, LastN(20)),
        ({"strategy": "first_last", "first": 2, "last": 10}, FirstLast(2, 10)),
        ({"strategy": "last_n", "n": 20, "step": 10}, LastN(20, 10)),
        ({"strategy": "first_last", "last": 10, "step": 5}, FirstLast(2, 10, 5)),
        ({"strategy": "summarize", "recent": 10}, Summarize(10)),
        ({"strategy": "token_window", "max_tokens": 100_000}, TokenWindow(100_000)),
        ({"strategy": "last_n"}, LastN()),
    ],
)
def test_an_agents_field_and_a_call_give_the_same(config: dict[str, Any], expected: MemoryStrategy) -> None:
    assert strategy_from_config(config) == expected
    options = {key: value for key, value in config.items() if key != "strategy"}
    assert get_memory_strategy(config["strategy"], **options) == expected


@pytest.mark.parametrize(
    "config, loc",
    [
        ({}, ("memory", "strategy")),
        ({"strategy": "photographic"}, ("memory", "strategy")),
        ({"strategy": None}, ("memory", "strategy")),
        ({"strategy": ["last_n"]}, ("memory", "strategy")),
        ({"strategy": "last_n", "m": 20}, ("memory", "m")),
        ({"strategy": "last_n", "name": "x"}, ("memory", "name")),
        ({"strategy": "last_n", "n": 0}, ("memory", "n")),
        ({"strategy": "last_n", "n": -1}, ("memory", "n")),
        ({"strategy": "last_n", "n": 2**70}, ("memory", "n")),
        ({"strategy": "last_n", "n": "20"}, ("memory", "n")),
        ({"strategy": "last_n", "n": 2.0}, ("memory", "n")),
        ({"strategy": "last_n", "n": True}, ("memory", "n")),
        ({"strategy": "last_n", "n": None}, ("memory", "n")),
        ({"strategy": "first_last", "first": 2, "last": 0}, ("memory", "last")),
        ({"strategy": "last_n", "step": 0}, ("memory", "step")),
        ({"strategy": "first_last", "step": 1_001}, ("memory", "step")),
        ({"strategy": "summarize", "step": 2}, ("memory", "step")),
        ({"strategy": "token_window", "is_whole": True}, ("memory", "is_whole")),
        ({"strategy": "summarize", "recent": 0}, ("memory", "recent")),
        ({"strategy": "summarize", "estimate": 1}, ("memory", "estimate")),
        ({"strategy": "token_window", "max_tokens": 0}, ("memory", "max_tokens")),
    ],
)
def test_wrong_options_are_refused_with_their_location(config: dict[str, Any], loc: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        strategy_from_config(config)
    assert refused.value.loc == loc
    assert str(refused.value).endswith(".")


def test_a_registered_strategy_is_known_by_its_name() -> None:
    register_memory_strategy("nothing", Nothing)
    made = strategy_from_config({"strategy": "nothing", "because": "of cost"})
    assert isinstance(made, Nothing)
    assert made.because == "of cost"
    assert "nothing" in list_memory_strategies()


def test_options_that_a_registered_strategy_does_not_take_are_refused() -> None:
    register_memory_strategy("nothing", Nothing)
    with pytest.raises(InvalidRequest, match="because_of"):
        get_memory_strategy("nothing", because_of="cost")


@pytest.mark.parametrize("name", ["last_n", ""])
def test_the_name_of_a_built_in_strategy_cannot_be_registered(name: str) -> None:
    with pytest.raises(InvalidRequest):
        register_memory_strategy(name, Nothing)
