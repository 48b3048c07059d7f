"""What Anthropic's families of models accept. Its API refuses a request with more, so the request leaves it out.

Sources on files, read 2026-11-22: https://platform.claude.com/docs/en/build-with-claude/vision and …/pdf-support
(dimensions, 20 and more images, pages, size of a request); that an image's 5 MB are those of its base64:
https://github.com/lobehub/lobehub/pull/14711.
"""

import re
from dataclasses import dataclass
from typing import Literal

from ai_agents.providers.files import BASE64_RATIO, IMAGES, MB, NO_FILES, ONLY_IMAGES, PDF, FileRules

NAME = "anthropic"


@dataclass(frozen=True, slots=True)
class AnthropicFacts:
    """What a family of models accepts.

    `off` is how to ask for `reasoning: none` where thinking is on by default. `schema`: the API enforces output
    schemas. `caching`: the API knows `cache_control`.
    """

    max_tokens: int
    thinking: Literal["none", "budget", "adaptive"]
    off: Literal["omit", "disabled", "between_tools", "low_effort"] = "omit"
    sampling: bool = False
    schema: bool = True
    caching: bool = True


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
        (r"", AnthropicFacts(8192, "none", schema=False, caching=False)),
    )
)


def anthropic_facts(model: str) -> AnthropicFacts:
    """What this model accepts. An unknown Claude counts as a new one, any other model as one without extras."""
    return next(facts for pattern, facts in _FACTS if pattern.match(model))


_CLAUDE = FileRules(
    IMAGES | {PDF},
    max_image_bytes=int(5 * 1024 * 1024 * BASE64_RATIO),
    max_image_edge=8_000,
    max_images=20,  # with more, the API wants each image smaller than most are
    max_total_bytes=int(30 * MB * BASE64_RATIO),
)
_WITHOUT_FILES = re.compile(r"claude-(instant|2)")
# PDFs came with 3.5.
_WITHOUT_PDF = re.compile(r"claude-3-(opus|sonnet|haiku)|(?!claude)")


def anthropic_files(model: str) -> FileRules:
    """The files that this model accepts. A model that is not Claude is assumed to take images and no PDFs."""
    if _WITHOUT_FILES.match(model):
        return NO_FILES
    return ONLY_IMAGES if _WITHOUT_PDF.match(model) else _CLAUDE
