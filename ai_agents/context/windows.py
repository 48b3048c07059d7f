"""Windows of models: a small table by prefixes of their names. Unknown models get a small window.

`ModelCatalogue` puts the facts that operators set before this table.
"""

from collections.abc import Mapping
from typing import TypeVar

from ai_agents.core.types import ModelSettings

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


def context_window(provider: str, model: str) -> int:
    """Tokens that the model takes, question and answer together."""
    found = longest_prefix(_WINDOWS, provider, model)
    return DEFAULT_WINDOW if found is None else found


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
