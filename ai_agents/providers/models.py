"""What families of models take, for the APIs that refuse what a model does not take. First match wins."""

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class AnthropicFacts:
    """What a family of models takes. `off` says how `reasoning: none` is put where thinking is on by default.

    `schema`: it keeps to an output schema by itself. `caching`: it knows `cache_control`.
    """

    max_tokens: int
    thinking: Literal["none", "budget", "adaptive"]
    off: Literal["omit", "disabled", "between_tools", "low_effort"] = "omit"
    sampling: bool = False
    schema: bool = True
    caching: bool = True


# Sources, read 2026-11-22: https://platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting,
# /structured-outputs and /prompt-caching, and the pages "What's new" and "Overview" of each model there.
_ANTHROPIC: tuple[tuple[re.Pattern[str], AnthropicFacts], ...] = tuple(
    (re.compile(pattern), facts)
    for pattern, facts in (
        (r"claude-(instant|2)|claude-3-(opus|sonnet|haiku)", AnthropicFacts(4096, "none", sampling=True, schema=False)),
        (r"claude-3-5", AnthropicFacts(8192, "none", sampling=True, schema=False)),
        (r"claude-(opus|sonnet|haiku)-4-5(?!\d)", AnthropicFacts(8192, "budget", sampling=True)),
        (
            r"claude-3-7|claude-4-|claude-(opus|sonnet|haiku)-4-([01](?!\d)|2025)",
            AnthropicFacts(8192, "budget", sampling=True, schema=False),
        ),
        (r"claude-(opus|sonnet)-4-6", AnthropicFacts(32000, "adaptive", sampling=True)),
        (r"claude-opus-4-[78]", AnthropicFacts(32000, "adaptive")),
        (r"claude-sonnet-5-5", AnthropicFacts(32000, "adaptive", off="between_tools")),
        (r"claude-opus-5-5|claude-(fable|mythos)", AnthropicFacts(32000, "adaptive", off="low_effort")),
        (r"claude-haiku-5|claude-(opus|sonnet)-5", AnthropicFacts(32000, "adaptive", off="disabled")),
        (r"claude", AnthropicFacts(32000, "adaptive")),
        (r"", AnthropicFacts(8192, "none", schema=False, caching=False)),
    )
)


def anthropic_facts(model: str) -> AnthropicFacts:
    """What this model takes; an unknown Claude is taken for a new one, anything else for a plain one."""
    return next(facts for pattern, facts in _ANTHROPIC if pattern.match(model))


@dataclass(frozen=True, slots=True)
class OpenAIFacts:
    """What a family of models takes. Reasoning ones take `max_completion_tokens`, no sampling and no stop sequences.

    `least` is the reasoning effort that is put for `reasoning: none`, as several cannot do without. Where tools are
    offered, chat completions want `tools_effort` said and nothing else: those models reason with tools elsewhere only.
    `schema`: it keeps to an output schema by itself. `keeps_reasoning`: `reasoning_content` has to be there, if only
    empty, wherever the history calls tools.
    """

    reasoning: bool | None
    least: Literal["none", "minimal", "low"] = "none"
    tools_effort: Literal["none"] | None = None
    schema: bool = True
    keeps_reasoning: bool = False


# Sources, read 2026-11-22: https://developers.openai.com/api/docs/guides/reasoning, the comments on `temperature`,
# `stop`, `max_tokens` and `reasoning_effort` in the reference of chat completions; on tools and effort
# https://github.com/BerriAI/litellm/pull/34569 and https://github.com/livekit/agents/pull/5088; on schemas
# https://developers.openai.com/api/docs/guides/structured-outputs; on `reasoning_content`
# https://api-docs.deepseek.com/guides/thinking_mode and https://github.com/anomalyco/opencode/issues/24722.
_OPENAI: tuple[tuple[re.Pattern[str], OpenAIFacts], ...] = tuple(
    (re.compile(pattern), facts)
    for pattern, facts in (
        (r"gpt-3|gpt-4(-|$)|chatgpt-|gpt-audio", OpenAIFacts(reasoning=False, schema=False)),
        (r"gpt-4|gpt-[0-9.]+-chat", OpenAIFacts(reasoning=False)),
        (r"o[1-9](-|$)", OpenAIFacts(reasoning=True, least="low")),
        (r"gpt-5(-|$)", OpenAIFacts(reasoning=True, least="minimal")),
        (r"gpt-5\.1|codex", OpenAIFacts(reasoning=True)),
        (r"gpt-[5-9]", OpenAIFacts(reasoning=True, tools_effort="none")),
        (r"deepseek-", OpenAIFacts(reasoning=None, schema=False, keeps_reasoning=True)),
        (r"", OpenAIFacts(reasoning=None)),
    )
)


def openai_facts(model: str) -> OpenAIFacts:
    """What this model takes; `reasoning` is None where that is not known, as for every other server's models."""
    return next(facts for pattern, facts in _OPENAI if pattern.match(model.removeprefix("ft:")))
