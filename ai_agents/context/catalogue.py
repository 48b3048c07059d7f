"""Windows and prices of models.

Facts that were set come first, then those of `genai-prices` if it is installed, then a table of windows. An unknown
price is None, never 0.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from importlib.util import find_spec
from threading import Lock
from typing import Any, Protocol, TypeVar

from ai_agents.core.types import ModelSettings, Usage

T = TypeVar("T")
DEFAULT_WINDOW = 128_000
# As documented by the providers, read 2026-11-22. Ollama's is the most that its provider here requests.
_WINDOWS: Mapping[str, int] = {
    "anthropic:": 200_000,
    "anthropic:claude-instant": 100_000,
    "anthropic:claude-2.0": 100_000,
    "openai:": 128_000,
    "openai:gpt-3.5": 16_385,
    "openai:gpt-4": 8_192,
    "openai:gpt-4-turbo": 128_000,
    "openai:gpt-4-1106": 128_000,
    "openai:gpt-4-0125": 128_000,
    "openai:gpt-4o": 128_000,
    "openai:gpt-4.1": 1_047_576,
    "openai:gpt-4.5": 128_000,
    "openai:gpt-5": 400_000,
    "openai:o1": 200_000,
    "openai:o1-mini": 128_000,
    "openai:o3": 200_000,
    "openai:o4": 200_000,
    "ollama:": 32_768,
    "ollama:llama2": 4_096,
    "ollama:llama3": 8_192,
    "ollama:llama3.": 32_768,
    "ollama:gemma": 8_192,
    "ollama:gemma3": 32_768,
}
# The room for an answer where an agent sets no limit; providers are sent this limit then.
_ANSWER_TOKENS = 32_000
_MILLION = Decimal(1_000_000)
# Prices are kept for as many models as a service has in use.
_KEPT = 500
# They run on machines of their users, so that no list has their prices.
_NOT_LISTED = frozenset({"ollama", "echo"})
_loading = Lock()


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """US dollars for a million tokens. Cached and cache-written ones without a price of their own are plain input."""

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None

    def cost(self, usage: Usage) -> Decimal:
        """What so many tokens cost."""
        cached, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
        plain = max(0, (usage.input_tokens or 0) - cached - written)
        return (
            plain * self.input
            + cached * (self.input if self.cached_input is None else self.cached_input)
            + written * (self.input if self.cache_write is None else self.cache_write)
            + (usage.output_tokens or 0) * self.output
        ) / _MILLION


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What was set for a model, or for every model whose name begins so; None leaves it to what is known."""

    price: ModelPrice | None = None
    window: int | None = None


class Servers(Protocol):
    """What is known of the servers behind the names of providers, which an admin chooses."""

    def listed_as(self, name: str) -> str:
        """The name under which the provider's prices and windows are listed."""

    def window(self, name: str, model: str) -> int | None:
        """Tokens that the model takes, as an admin or the server itself says; None where neither does."""


class ModelCatalogue:
    """Windows and prices of models, by provider and model.

    `overrides` are facts by `provider:model`: `{"openai:my-model": ModelFacts(window=32_768)}`. The longest prefix
    wins, for prices and windows each by itself. Without `servers` each provider is listed under its own name.
    """

    def __init__(self, overrides: Mapping[str, ModelFacts] | None = None, *, servers: Servers | None = None) -> None:
        self._servers = servers
        facts = dict(overrides or {})
        self._prices = {name: each.price for name, each in facts.items() if each.price is not None}
        self._windows = {name: each.window for name, each in facts.items() if each.window is not None}
        self._listed = lru_cache(_KEPT)(_find_priced_model)

    async def load(self) -> None:
        """Load the list in a thread, since it takes tenths of a second."""
        if not _snapshot.cache_info().currsize:
            await asyncio.to_thread(_load_once)

    def window(self, provider: str, model: str, *, told: int | None = None) -> int:
        """Tokens that the model takes, question and answer together.

        What was set comes first, then what the server says (`told`, where the caller knows it), then the lists.
        """
        if (found := longest_prefix(self._windows, provider, model)) is not None:
            return found
        if told is None and self._servers is not None:
            told = self._servers.window(provider, model)
        if told is not None:
            return told
        listed = self._find(provider, model)
        known: int | None = listed.model.context_window if listed else None
        return known or context_window(self._listed_as(provider), model)

    def cost(self, provider: str, models: Iterable[str], usage: Usage) -> Decimal | None:
        """What one call cost in US dollars; None where that is not known.

        `models` are the model's names, such as the requested one and the one that answered: the first one with a price
        counts. A figure that the provider left out makes the cost unknown; an estimated usage may lack output tokens
        (of a call that was lost with its process).
        """
        if usage.input_tokens is None or (usage.output_tokens is None and not usage.estimated):
            return None
        names = list(dict.fromkeys(models))
        for model in names:
            if (price := longest_prefix(self._prices, provider, model)) is not None:
                return price.cost(usage)
        for model in names:
            if (listed := self._find(provider, model)) is not None:
                return listed.cost(usage)
        return None

    def _find(self, provider: str, model: str) -> "_PricedModel | None":
        name = self._listed_as(provider)
        return None if name in _NOT_LISTED else self._listed(name, model)

    def _listed_as(self, provider: str) -> str:
        return provider if self._servers is None else self._servers.listed_as(provider)


def parse_facts(given: Any) -> dict[str, ModelFacts]:
    """Facts as they are written down: `{"openai:my-model": {"input": 2.5, "output": "10", "window": 32768}}`.

    Prices are US dollars for a million tokens, `input` and `output` both or neither; `cached_input`, `cache_write` and
    `window` as known. Raises ValueError, which names the model.
    """
    if not isinstance(given, Mapping) or not all(":" in str(name) for name in given):
        raise ValueError("an object whose names are `provider:model`")
    return {str(name): _parse_one(str(name), facts) for name, facts in given.items()}


_PRICES = ("input", "output", "cached_input", "cache_write")


def _parse_one(name: str, facts: Any) -> ModelFacts:
    if not isinstance(facts, Mapping) or not facts.keys() <= {*_PRICES, "window"}:
        raise ValueError(f"{name}: an object with some of {', '.join((*_PRICES, 'window'))}")
    prices = {each: _parse_price(name, each, facts[each]) for each in _PRICES if facts.get(each) is not None}
    if prices and not prices.keys() >= {"input", "output"}:
        raise ValueError(f"{name}: prices are `input` and `output`, both")
    window = facts.get("window")
    if window is not None and (type(window) is not int or window < 1):
        raise ValueError(f"{name}: window is a number of tokens")
    return ModelFacts(ModelPrice(**prices) if prices else None, window)


def _parse_price(name: str, which: str, value: Any) -> Decimal:
    try:
        # By way of its text: a number from JSON is a float, and 0.1 is meant as it is written.
        price = Decimal(str(value))
    except ArithmeticError:
        price = Decimal("NaN")
    if isinstance(value, bool) or not price.is_finite() or price < 0:
        raise ValueError(f"{name}: {which} is a price in US dollars for a million tokens")
    return price


@dataclass(frozen=True, slots=True)
class _PricedModel:
    """A model of the list. The list computes its prices, since they may depend on the time and on the request."""

    provider: Any = field(repr=False)
    model: Any = field(repr=False)

    def cost(self, usage: Usage) -> Decimal | None:
        from genai_prices import Usage as ListedUsage

        counted = ListedUsage(
            input_tokens=usage.input_tokens or 0,
            output_tokens=usage.output_tokens or 0,
            cache_read_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_tokens,
        )
        try:
            total: Decimal = self.model.calc_price(counted, self.provider, genai_request_timestamp=None).total_price
        except (LookupError, ValueError):
            return None  # figures that contradict each other: more tokens from the cache than there were
        return total


def _find_priced_model(provider: str, model: str) -> _PricedModel | None:
    snapshot = _snapshot()
    if snapshot is None:
        return None
    try:
        return _PricedModel(*snapshot.find_provider_model(model, None, provider, None))
    except LookupError:
        return None


def _load_once() -> None:
    # Otherwise calls that begin together would each read it, in a thread of their own.
    with _loading:
        _snapshot()


@lru_cache(1)
def _snapshot() -> Any:
    """The list that comes with `genai-prices`; None where that is not installed. Nothing is fetched."""
    if find_spec("genai_prices") is None:
        return None
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot()


def context_window(provider: str, model: str) -> int:
    """Tokens that the model takes, question and answer together."""
    return longest_prefix(_WINDOWS, provider, model) or DEFAULT_WINDOW


def longest_prefix(known: Mapping[str, T], provider: str, model: str) -> T | None:
    """What is known under the longest beginning of `provider:model`; None where it is under none."""
    name = f"{provider}:{model}"
    fitting = [prefix for prefix in known if name.startswith(prefix)]
    return known[max(fitting, key=len)] if fitting else None


def input_budget(window_tokens: int, settings: ModelSettings) -> int:
    """Tokens that the question may have, so that the answer still has its room; at least half of the window."""
    answer = _ANSWER_TOKENS if settings.max_tokens is None else settings.max_tokens
    most = window_tokens // 4 if settings.max_tokens is None else window_tokens // 2
    return window_tokens - min(answer, most)
