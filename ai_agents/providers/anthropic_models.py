"""What families of models accept on Anthropic's wire. Its API refuses a request with more, so that is left out.

Sources on files, read 2026-11-22: https://platform.claude.com/docs/en/build-with-claude/vision and …/pdf-support
(dimensions, 20 and more images, pages, size of a request); that an image's 5 MB are those of its base64:
https://github.com/lobehub/lobehub/pull/14711.
Sources on other models, read 2026-11-30: https://api-docs.deepseek.com/guides/anthropic_api (sampling, thinking whose
budget is ignored, no images), https://github.com/NousResearch/hermes-agent/issues/22313 (DeepSeek's thinking must go
back), https://github.com/NousResearch/hermes-agent/pull/67606 (Kimi's adaptive thinking).
"""

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from ai_agents.providers.files import BASE64_RATIO, IMAGES, MB, NO_FILES, ONLY_IMAGES, PDF, FileRules, with_quirks
from ai_agents.providers.quirks import Quirks

NAME = "anthropic"


@dataclass(frozen=True, slots=True)
class AnthropicFacts:
    """What a family of models accepts.

    `off` is how to ask for `reasoning: none` where thinking is on by default. `schema`: the API enforces output
    schemas. `caching`: the API knows `cache_control`. `signs`: thinking goes back only with its signature, and sampling
    follows Anthropic's rules. `needs_thinking`: it thinks by default, and refuses a call in the history without its
    thinking.
    """

    max_tokens: int
    thinking: Literal["none", "budget", "adaptive"]
    off: Literal["omit", "disabled", "between_tools", "low_effort"] = "omit"
    sampling: bool = False
    schema: bool = True
    caching: bool = True
    signs: bool = True
    stop: bool = True
    needs_thinking: bool = False


def _other(thinking: Literal["none", "budget", "adaptive"], **facts: Any) -> AnthropicFacts:
    """What a model that is not Claude accepts."""
    return AnthropicFacts(8192, thinking, schema=False, caching=False, signs=False, **facts)


# The first pattern that matches counts.
# Sources, read 2026-11-22: https://platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting,
# /structured-outputs and /prompt-caching, and the pages "What's new" and "Overview" of each model there.
_FACTS: tuple[tuple[re.Pattern[str], AnthropicFacts], ...] = tuple(
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
        (r"deepseek", _other("budget", off="disabled", sampling=True, needs_thinking=True)),
        (r"kimi", _other("adaptive", off="disabled")),
        (r"", _other("none")),
    )
)
_CLAUDE_NAME = re.compile(r"(?:^|[/.])(claude.*)")


def anthropic_facts(model: str, quirks: Quirks | None = None) -> AnthropicFacts:
    """What this model accepts, where the quirks of its server do not say otherwise.

    An unknown Claude counts as a new one, any other model as one without extras.
    """
    name = _plain_name(model)
    facts = next(facts for pattern, facts in _FACTS if pattern.match(name))
    return facts if quirks is None else _corrected(facts, quirks)


def _plain_name(model: str) -> str:
    """The name as Anthropic writes it: gateways write `anthropic/claude-sonnet-4.5` or `us.anthropic.claude-…`."""
    name = model.lower()
    found = _CLAUDE_NAME.search(name)
    return re.sub("[.@]", "-", found[1]) if found else name.rpartition("/")[2]


def _corrected(facts: AnthropicFacts, quirks: Quirks) -> AnthropicFacts:
    given = {"sampling": quirks.sampling, "stop": quirks.stop, "caching": quirks.cache_control}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if quirks.keeps_reasoning is not None:
        changes["needs_thinking"] = quirks.keeps_reasoning
    if quirks.schema is not None:
        changes["schema"] = quirks.schema == "enforced"
    if quirks.reasoning is False:
        changes["thinking"] = "none"
    elif quirks.reasoning and facts.thinking == "none":
        # The form that most servers take.
        changes |= {"thinking": "budget", "off": "disabled"}
    return replace(facts, **changes)


_CLAUDE = FileRules(
    IMAGES | {PDF},
    max_image_bytes=int(5 * 1024 * 1024 * BASE64_RATIO),
    max_image_edge=8_000,
    max_images=20,  # with more, the API wants each image smaller than most are
    max_total_bytes=int(30 * MB * BASE64_RATIO),
)
_WITHOUT_FILES = re.compile(r"claude-(instant|2)|deepseek")
# PDFs came with 3.5.
_WITHOUT_PDF = re.compile(r"claude-3-(opus|sonnet|haiku)|(?!claude)")


def anthropic_files(model: str, quirks: Quirks | None = None) -> FileRules:
    """The files that this model accepts. A model that is not Claude is assumed to take images and no PDFs."""
    name = _plain_name(model)
    rules = NO_FILES if _WITHOUT_FILES.match(name) else ONLY_IMAGES if _WITHOUT_PDF.match(name) else _CLAUDE
    return rules if quirks is None else with_quirks(rules, quirks)
