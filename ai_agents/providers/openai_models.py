"""What the models behind OpenAI's APIs accept: OpenAI's own, and those of compatible servers.

OpenAI refuses a request with more than the model accepts, so the request leaves it out.
Sources on files, read 2026-11-22: https://developers.openai.com/api/docs/guides/images-vision and …/guides/pdf-files.
"""

import re
from dataclasses import dataclass
from typing import Literal

from ai_agents.providers.files import ANY_FILES, NO_FILES, ONLY_IMAGES, FileRules

NAME = "openai"


@dataclass(frozen=True, slots=True)
class OpenAIFacts:
    """What a family of models accepts.

    `reasoning`: the model reasons, so it takes `max_completion_tokens`, no sampling and no stop sequences; None where
    that is not known. `least` is the effort that is sent for `reasoning: none`, since several models cannot turn
    reasoning off. `tools_effort` is the only effort that chat completions accept together with tools. `schema`: the API
    enforces output schemas. `keeps_reasoning`: each message that calls tools needs `reasoning_content`, even if empty.
    """

    reasoning: bool | None
    least: Literal["none", "minimal", "low"] = "none"
    tools_effort: Literal["none"] | None = None
    schema: bool = True
    keeps_reasoning: bool = False


# The first pattern that matches counts.
# Sources, read 2026-11-22: https://developers.openai.com/api/docs/guides/reasoning, the comments on `temperature`,
# `stop`, `max_tokens` and `reasoning_effort` in the reference of chat completions; on tools and effort
# https://github.com/BerriAI/litellm/pull/34569 and https://github.com/livekit/agents/pull/5088; on schemas
# https://developers.openai.com/api/docs/guides/structured-outputs; on `reasoning_content`
# https://api-docs.deepseek.com/guides/thinking_mode and https://github.com/anomalyco/opencode/issues/24722.
_FACTS: tuple[tuple[re.Pattern[str], OpenAIFacts], ...] = tuple(
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
    """What this model accepts. Of the models of other servers nothing is known."""
    return next(facts for pattern, facts in _FACTS if pattern.match(model.removeprefix("ft:")))


_WITHOUT_IMAGES = re.compile(r"gpt-3|gpt-4(-\d{4}(-preview)?|-32k\S*)?$|o1-(mini|preview)|o3-mini|gpt-oss|gpt-audio")
_WITH_PDF = re.compile(r"gpt-4o|gpt-4\.|gpt-4-turbo|chatgpt-|gpt-[5-9]|o[1-9](-|$)")


def openai_files(model: str) -> FileRules:
    """The files that this model accepts. An unknown model is assumed to take images and no PDFs."""
    name = model.removeprefix("ft:")
    if _WITHOUT_IMAGES.match(name):
        return NO_FILES
    return ANY_FILES if _WITH_PDF.match(name) else ONLY_IMAGES
