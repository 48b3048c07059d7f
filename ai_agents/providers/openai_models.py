"""What the models behind OpenAI's APIs accept: OpenAI's own, and those of compatible servers.

OpenAI refuses a request with more than the model accepts, so the request leaves it out, and a notice says so.
Sources on files, read 2026-11-22: https://developers.openai.com/api/docs/guides/images-vision and …/guides/pdf-files.
"""

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from ai_agents.providers.files import ANY_FILES, NO_FILES, ONLY_IMAGES, FileRules, with_quirks
from ai_agents.providers.quirks import MaxTokensField, Quirks

NAME = "openai"


@dataclass(frozen=True, slots=True)
class OpenAIFacts:
    """What a family of models accepts.

    `reasoning`: the model reasons; None where that is not known. `least` is the effort that is sent for
    `reasoning: none`, since several models cannot turn reasoning off. `tools_effort` is the only effort that chat
    completions accept together with tools. `effort`, `sampling` (temperature and top_p), `stop`, `tools`: the model
    takes these. `schema`: the API enforces output schemas. `keeps_reasoning`: the model's own reasoning goes back to
    it; True where each message that calls tools needs `reasoning_content`, even if empty; None where it goes back only
    if there is some.
    """

    reasoning: bool | None
    least: Literal["none", "minimal", "low"] = "none"
    tools_effort: Literal["none"] | None = None
    effort: bool = True
    sampling: bool = True
    stop: bool = True
    tools: bool = True
    schema: bool = True
    keeps_reasoning: bool | None = None
    max_tokens_field: MaxTokensField = "max_tokens"


# What each family of models is told by, as options of `OpenAIFacts`; the first pattern that matches counts.
# Sources, read 2026-11-22: https://developers.openai.com/api/docs/guides/reasoning, the comments on `temperature`,
# `stop`, `max_tokens` and `reasoning_effort` in the reference of chat completions; on tools and effort
# https://github.com/BerriAI/litellm/pull/34569 and https://github.com/livekit/agents/pull/5088; on schemas
# https://developers.openai.com/api/docs/guides/structured-outputs; on `reasoning_content`
# https://api-docs.deepseek.com/guides/thinking_mode and https://github.com/anomalyco/opencode/issues/24722.
_REASONS: dict[str, Any] = {
    "reasoning": True,
    "sampling": False,
    "stop": False,
    "max_tokens_field": "max_completion_tokens",
}
_DOES_NOT: dict[str, Any] = {"reasoning": False, "effort": False, "keeps_reasoning": False}
_FACTS: tuple[tuple[re.Pattern[str], OpenAIFacts], ...] = tuple(
    (re.compile(pattern), OpenAIFacts(**facts))
    for pattern, facts in (
        (r"gpt-3|gpt-4(-|$)|chatgpt-|gpt-audio", _DOES_NOT | {"schema": False}),
        (r"gpt-4|gpt-[0-9.]+-chat", _DOES_NOT),
        (r"o[1-9](-|$)", _REASONS | {"least": "low"}),
        (r"gpt-5(-|$)", _REASONS | {"least": "minimal"}),
        (r"gpt-5\.1|codex", _REASONS),
        (r"gpt-[5-9]", _REASONS | {"tools_effort": "none"}),
        (r"deepseek-", {"reasoning": None, "schema": False, "keeps_reasoning": True}),
        (r"", {"reasoning": None}),
    )
)


def openai_facts(model: str, quirks: Quirks | None = None) -> OpenAIFacts:
    """What this model accepts, where `quirks` do not say otherwise. Of the models of other servers nothing is known."""
    facts = next(facts for pattern, facts in _FACTS if pattern.match(model.removeprefix("ft:")))
    if quirks is None:
        return facts
    given: dict[str, Any] = {
        "effort": quirks.reasoning,
        "sampling": quirks.sampling,
        "stop": quirks.stop,
        "tools": quirks.tools,
        "schema": None if quirks.schema is None else quirks.schema == "enforced",
        "keeps_reasoning": quirks.keeps_reasoning,
        "max_tokens_field": quirks.max_tokens_field,
    }
    known = {name: value for name, value in given.items() if value is not None}
    return replace(facts, **known) if known else facts


_WITHOUT_IMAGES = re.compile(r"gpt-3|gpt-4(-\d{4}(-preview)?|-32k\S*)?$|o1-(mini|preview)|o3-mini|gpt-oss|gpt-audio")
_WITH_PDF = re.compile(r"gpt-4o|gpt-4\.|gpt-4-turbo|chatgpt-|gpt-[5-9]|o[1-9](-|$)")


def openai_files(model: str, quirks: Quirks | None = None) -> FileRules:
    """The files that this model accepts. An unknown model is assumed to take images and no PDFs."""
    name = model.removeprefix("ft:")
    rules = NO_FILES if _WITHOUT_IMAGES.match(name) else ANY_FILES if _WITH_PDF.match(name) else ONLY_IMAGES
    return rules if quirks is None else with_quirks(rules, quirks)


def without_effort(effort: str | None) -> Quirks | None:
    """What a refusal of this effort teaches, if it only turns reasoning off: any other one the agent asked for."""
    return Quirks(reasoning=False) if effort in {"none", "minimal"} else None
