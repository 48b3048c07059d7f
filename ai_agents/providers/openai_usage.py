"""The usage of chat completions, in the forms in which servers report it. Pure.

Sources: https://developers.openai.com/api/reference/resources/chat; DeepSeek's `prompt_cache_hit_tokens`
(https://api-docs.deepseek.com/api/create-chat-completion), Together's `cached_tokens`, OpenRouter's
`cache_write_tokens` (https://openrouter.ai/docs/guides/guides/usage-accounting), LiteLLM's
`cache_creation_input_tokens`; read 2026-11-30.
"""

from collections.abc import Mapping
from typing import Any

from ai_agents.core.types import Usage
from ai_agents.providers.reading import as_count, as_object

# Where each figure may stand.
_PLACES: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    ("input", (("prompt_tokens",), ("input_tokens",))),
    ("output", (("completion_tokens",), ("output_tokens",))),
    ("cached", (("prompt_tokens_details", "cached_tokens"), ("prompt_cache_hit_tokens",), ("cached_tokens",))),
    ("reasoning", (("completion_tokens_details", "reasoning_tokens"), ("reasoning_tokens",))),
    ("written", (("prompt_tokens_details", "cache_write_tokens"), ("cache_creation_input_tokens",))),
    ("total", (("total_tokens",),)),
)


def merge_usage(known: dict[str, int], reported: Any) -> None:
    """Add the reported figures to those that are known. A later 0, or what is no figure, does not replace one."""
    usage = as_object(reported)
    if not usage:
        return
    for figure, places in _PLACES:
        counts = [count for place in places if (count := _count_at(usage, place)) is not None]
        count = next((count for count in counts if count), counts[0] if counts else None)
        if count or (count == 0 and figure not in known):
            known[figure] = count


def usage_from_wire(known: Mapping[str, int]) -> Usage:
    """The framework's counts; None where the server does not report them."""
    output, reasoning = known.get("output"), known.get("reasoning")
    total = known.get("total")
    if output is not None and reasoning and total == known.get("input", 0) + output + reasoning:
        output += reasoning  # xAI counts reasoning apart from the completion, as the total tells
    return Usage(
        input_tokens=known.get("input"),
        output_tokens=output,
        cached_input_tokens=known.get("cached"),
        reasoning_tokens=reasoning,
        cache_write_tokens=known.get("written"),
    )


def _count_at(usage: Mapping[str, Any], place: tuple[str, ...]) -> int | None:
    value: Any = usage
    for name in place:
        value = as_object(value).get(name)
    return as_count(value)
