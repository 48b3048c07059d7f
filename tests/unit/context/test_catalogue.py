"""Prices and windows of models: set, listed and unknown ones."""

import asyncio
import sys
import threading
import time
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pytest

from ai_agents.context import catalogue
from ai_agents.context.catalogue import DEFAULT_WINDOW, ModelCatalogue, ModelFacts, ModelPrice, parse_facts
from ai_agents.core.types import Usage

USAGE = Usage(input_tokens=1_000_000, output_tokens=100_000)
PRICE = ModelPrice(Decimal("2.5"), Decimal(10))


@pytest.fixture
def unlisted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where `genai-prices` is not installed."""
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    monkeypatch.setattr(catalogue, "find_spec", lambda _name: None)
    monkeypatch.setattr(catalogue, "_snapshot", lru_cache(1)(catalogue._snapshot.__wrapped__))


def test_a_price_that_was_set_counts_tokens_by_the_million() -> None:
    assert PRICE.cost(USAGE) == Decimal("3.5")
    assert PRICE.cost(Usage(input_tokens=1, output_tokens=0)) == Decimal("0.0000025")


def test_cached_and_cache_written_tokens_are_input_with_their_own_prices() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0, cached_input_tokens=600_000, cache_write_tokens=300_000)
    own = ModelPrice(Decimal(10), Decimal(0), cached_input=Decimal(1), cache_write=Decimal(20))

    assert own.cost(usage) == Decimal("7.6")
    assert ModelPrice(Decimal(10), Decimal(0)).cost(usage) == 10


def test_the_longest_prefix_wins_for_prices_and_windows_each_by_itself() -> None:
    models = ModelCatalogue(
        {
            "mine:": ModelFacts(PRICE, 1_000),
            "mine:large": ModelFacts(window=2_000),
            "mine:large-2": ModelFacts(ModelPrice(Decimal(1), Decimal(1))),
        }
    )

    assert [models.window("mine", name) for name in ("small", "large", "large-2")] == [1_000, 2_000, 2_000]
    assert [models.cost("mine", [name], USAGE) for name in ("small", "large", "large-2")] == [
        Decimal("3.5"),
        Decimal("3.5"),
        Decimal("1.1"),
    ]


def test_set_facts_win_over_listed_ones() -> None:
    usual, set_here = ModelCatalogue(), ModelCatalogue({"openai:gpt-4o": ModelFacts(PRICE, 5)})

    assert usual.cost("openai", ["gpt-4o"], USAGE) == Decimal("3.5")
    assert usual.window("openai", "gpt-4o") == 128_000
    assert set_here.window("openai", "gpt-4o") == 5
    doubled = ModelCatalogue({"openai:gpt-4o": ModelFacts(ModelPrice(Decimal(5), Decimal(20)))})
    assert doubled.cost("openai", ["gpt-4o"], USAGE) == 7


def test_the_list_has_prices_of_cached_tokens() -> None:
    cached = Usage(input_tokens=1_000_000, output_tokens=0, cached_input_tokens=1_000_000)

    models = ModelCatalogue()

    assert models.cost("openai", ["gpt-4o"], cached) == Decimal("1.25")
    written = Usage(input_tokens=1_000_000, output_tokens=0, cache_write_tokens=1_000_000)
    assert models.cost("anthropic", ["claude-sonnet-4-20250514"], written) == Decimal("3.75")


def test_the_first_name_with_a_price_counts() -> None:
    models = ModelCatalogue({"openai:alias": ModelFacts(PRICE)})

    assert models.cost("openai", ["nobody-knows", "gpt-4o-2024-08-06"], USAGE) == Decimal("3.5")
    assert models.cost("openai", ["gpt-4o", "alias"], Usage(2_000_000, 0)) == 5


@pytest.mark.parametrize(
    "provider, model", [("ollama", "llama3.1"), ("openai", "my-model"), ("mine", "gpt-4o"), ("echo", "echo")]
)
def test_a_missing_price_is_unknown(provider: str, model: str) -> None:
    assert ModelCatalogue().cost(provider, [model], USAGE) is None


def test_no_tokens_cost_nothing_and_unknown_figures_make_the_cost_unknown() -> None:
    models = ModelCatalogue({"mine:": ModelFacts(PRICE)})

    assert models.cost("mine", ["m"], Usage(input_tokens=0, output_tokens=0)) == 0
    assert models.cost("mine", ["m"], Usage()) is None
    assert models.cost("mine", ["m"], Usage(output_tokens=5)) is None
    assert models.cost("mine", ["m"], Usage(input_tokens=2, estimated=True)) == Decimal("0.000005")


def test_contradictory_figures_make_the_cost_unknown() -> None:
    usage = Usage(input_tokens=1, output_tokens=1, cached_input_tokens=1_000)

    assert ModelCatalogue().cost("openai", ["gpt-4o"], usage) is None
    assert PRICE.cost(usage) >= 0


@pytest.mark.usefixtures("unlisted")
async def test_without_the_list_set_facts_and_the_table_of_windows_count() -> None:
    models = ModelCatalogue({"mine:": ModelFacts(PRICE)})
    await models.load()

    assert models.cost("mine", ["m"], USAGE) == Decimal("3.5")
    assert models.cost("openai", ["gpt-4o"], USAGE) is None
    assert models.window("openai", "gpt-4") == 8_192
    assert models.window("nobody", "nothing") == DEFAULT_WINDOW


async def test_calls_that_begin_together_load_the_list_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []

    def load() -> None:
        loads.append(threading.current_thread().name)
        time.sleep(0.05)

    monkeypatch.setattr(catalogue, "_snapshot", lru_cache(1)(load))

    await asyncio.gather(*(ModelCatalogue().load() for _ in range(5)))

    assert len(loads) == 1
    assert loads != [threading.main_thread().name]


def test_facts_are_parsed() -> None:
    given = {
        "openai:mine": {"input": 0.1, "output": "10", "cached_input": 0, "window": 32_768},
        "ollama:": {"window": 9},
    }

    assert parse_facts(given) == {
        "openai:mine": ModelFacts(ModelPrice(Decimal("0.1"), Decimal(10), Decimal(0)), 32_768),
        "ollama:": ModelFacts(window=9),
    }


@pytest.mark.parametrize(
    "given",
    [
        [],
        {"gpt-4o": {"window": 1}},
        {"a:b": 5},
        {"a:b": {"price": 5}},
        {"a:b": {"input": 5}},
        {"a:b": {"cached_input": 5}},
        {"a:b": {"input": -1, "output": 1}},
        {"a:b": {"input": "NaN", "output": 1}},
        {"a:b": {"input": "much", "output": 1}},
        {"a:b": {"input": True, "output": 1}},
        {"a:b": {"window": 0}},
        {"a:b": {"window": "large"}},
    ],
)
def test_invalid_facts_are_refused(given: Any) -> None:
    with pytest.raises(ValueError, match=r"a:b|provider:model"):
        parse_facts(given)
