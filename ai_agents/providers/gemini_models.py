"""What Gemini's families of models accept. The API refuses a request with more, so the request leaves it out.

Sources, read 2026-11-30: https://ai.google.dev/gemini-api/docs/models, …/thinking, …/thought-signatures,
…/image-understanding and …/document-processing.
"""

import re
from dataclasses import dataclass
from typing import Literal

from ai_agents.core.types import ReasoningEffort
from ai_agents.providers.base import Capabilities
from ai_agents.providers.files import BASE64_RATIO, MB, PDF, FileRules

NAME = "gemini"


@dataclass(frozen=True, slots=True)
class GeminiFacts:
    """What a family of models accepts.

    `thinking`: how much it thinks is said as a budget of tokens or as a level. `off` is what is sent for `reasoning:
    none`: some models cannot stop thinking. `signed`: a call in the history needs a signature. `schema`: it enforces
    output schemas. `instructed`: it takes system instructions and tools.
    """

    thinking: Literal["none", "budget", "level"]
    off: int | str | None = None
    signed: bool = False
    schema: bool = True
    instructed: bool = True
    context_window: int = 1_048_576


# The first pattern that matches counts.
_FACTS: tuple[tuple[re.Pattern[str], GeminiFacts], ...] = tuple(
    (re.compile(pattern), facts)
    for pattern, facts in (
        (r"gemini-1|gemini-2\.0", GeminiFacts("none")),
        (r"gemini-2\.5-pro", GeminiFacts("budget", off=128)),
        (r"gemini-2", GeminiFacts("budget", off=0)),
        (r"gemini-[3-9]\S*flash", GeminiFacts("level", off="minimal", signed=True)),
        (r"gemini-", GeminiFacts("level", off="low", signed=True)),
        (r"gemma", GeminiFacts("none", schema=False, instructed=False, context_window=32_768)),
        (r"", GeminiFacts("none", context_window=32_768)),
    )
)
_BUDGETS: dict[str, int] = {"low": 2048, "medium": 8192, "high": 16384}
_FILES = FileRules(
    frozenset({"image/png", "image/jpeg", "image/webp", PDF}),
    max_image_bytes=7 * MB,
    max_images=3_000,
    max_pages=1_000,
    # A request has at most 20 MB, base64 included.
    max_total_bytes=int(18 * MB * BASE64_RATIO),
)


def gemini_facts(model: str) -> GeminiFacts:
    """What this model accepts. An unknown Gemini counts as a new one."""
    name = model.rpartition("/")[2]
    return next(facts for pattern, facts in _FACTS if pattern.match(name))


def gemini_capabilities(model: str) -> Capabilities:
    """The files and the context of this model."""
    return Capabilities(files=_FILES, context_window=gemini_facts(model).context_window)


def thinking_config(model: str, effort: ReasoningEffort) -> dict[str, object] | None:
    """How to ask for this effort; None where the model does not think."""
    facts = gemini_facts(model)
    if facts.thinking == "none":
        return None
    if effort == "none":
        return {"thinkingBudget" if facts.thinking == "budget" else "thinkingLevel": facts.off}
    if facts.thinking == "budget":
        return {"thinkingBudget": _BUDGETS[effort], "includeThoughts": True}
    # The first models with levels have no level between low and high; the API takes `high` for both.
    level = "high" if effort == "medium" and facts.off == "low" else effort
    return {"thinkingLevel": level, "includeThoughts": True}
