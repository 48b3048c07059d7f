"""Texts sent through guardrails: whole, and on a stream in any cuts."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from ai_agents.guardrails.guards import Guards

JsonObject = dict[str, Any]


def output(*configs: JsonObject) -> Guards:
    """The guards of these configs, for what goes out."""
    return Guards(configs, "output")


def blocklist(*patterns: str, action: str = "redact") -> JsonObject:
    """A blocklist of these patterns."""
    return {"type": "blocklist", "patterns": list(patterns), "action": action}


def streamed(guards: Guards, pieces: Iterable[str]) -> tuple[str, str | None]:
    """What comes out of these pieces, and what blocked."""
    guard = guards.stream()
    out = [text for piece in pieces for _, text in guard.feed(piece)]
    out += [text for _, text in guard.finish()]
    return "".join(out), None if guard.blocked_by is None else guard.blocked_by.type


async def whole(guards: Guards, text: str) -> tuple[str, str | None]:
    """What comes of the text at once."""
    judged = await guards.judge_text(text)
    return judged.value, None if judged.blocked_by is None else judged.blocked_by.type


def cut(text: str, places: Iterable[int]) -> list[str]:
    """The text in pieces, cut at these places."""
    borders = [0, *sorted({place for place in places if 0 < place < len(text)}), len(text)]
    return [text[start:stop] for start, stop in pairwise(borders)]
