"""What comes in passes the agent's input guardrails before it is let in: texts, the names and texts of files."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ai_agents.attachments.formatting import read_text
from ai_agents.attachments.storage import BlobStore
from ai_agents.core.types import FileContent, FilePart, ModelMessage, ModelRequest, Part, TextPart
from ai_agents.guardrails.base import Finding, Span
from ai_agents.guardrails.guards import Guards, JudgedValue

# Kept with the message, of one file.
_MOST_PLACES = 1000


@dataclass(frozen=True, slots=True)
class JudgedMessage:
    """A message as it may be let in: its parts, its files as they are referred to then (by their ids), and what was
    found in it.
    """

    parts: tuple[TextPart | FilePart, ...]
    files: Mapping[str, FilePart] = field(default_factory=dict)
    triggers: tuple[Finding, ...] = ()

    def as_judged(self, part: TextPart | FilePart) -> TextPart | FilePart:
        """The part as the message refers to it."""
        return self.files.get(part.file_id, part) if isinstance(part, FilePart) else part


@dataclass(frozen=True, slots=True)
class Verdict:
    """A message as this version of this agent's guardrails let it in."""

    agent_id: str
    version: int
    message: JudgedMessage

    def is_of(self, agent_id: str, version: int) -> bool:
        """Whether it was spoken for this agent as it is."""
        return (self.agent_id, self.version) == (agent_id, version)


async def judge_message(
    guards: Guards, message: Sequence[TextPart | FilePart], blobs: BlobStore | None
) -> JudgedMessage:
    """What may be let in. Its texts are read as one. Raises `GuardrailBlocked`, `StorageUnavailable`."""
    texts = [part.text for part in message if isinstance(part, TextPart)]
    judged = _allowed(guards, await guards.judge_texts(texts))
    triggers = dict.fromkeys(judged.triggers)
    seen = iter(judged.value)
    parts: list[TextPart | FilePart] = []
    for part in message:
        if isinstance(part, TextPart):
            parts.append(TextPart(next(seen)))
        else:
            file, found = await _judge_file(guards, part, blobs)
            triggers |= dict.fromkeys(found)
            parts.append(file)
    files = {part.file_id: part for part in parts if isinstance(part, FilePart)}
    return JudgedMessage(tuple(parts), files, tuple(triggers))


async def _judge_file(guards: Guards, part: FilePart, blobs: BlobStore | None) -> tuple[FilePart, tuple[Finding, ...]]:
    """The file stays as it is: it is noted what of its text models may not see, or that they may see all of it."""
    name = _allowed(guards, await guards.judge_text(part.filename))
    text = await read_text(part, blobs)
    content = _allowed(guards, await guards.judge_text(text))
    facts = dict(part.facts or {})
    if content.value != text:
        facts["hidden"] = _bounded(content.hidden)
    elif not facts.get("cut"):
        facts["clean_for"] = guards.key
    return replace(part, filename=name.value or "file", facts=facts), (*name.triggers, *content.triggers)


def _bounded(spans: Sequence[Span]) -> list[Span]:
    """The places in order; of very many the last goes on to the end of all."""
    places = sorted(spans)
    if len(places) <= _MOST_PLACES:
        return places
    return [*places[: _MOST_PLACES - 1], (places[_MOST_PLACES - 1][0], max(stop for _, stop in places))]


def _allowed(guards: Guards, judged: JudgedValue) -> JudgedValue:
    if judged.blocked_by is not None:
        raise guards.blocked(judged.blocked_by)
    return judged


def has_text_files(request: ModelRequest) -> bool:
    """Whether the request holds texts of files."""
    return any(_is_text(part) for message in request.messages for part in message.parts)


async def guard_files(request: ModelRequest, guards: Guards) -> ModelRequest:
    """The request without the parts of its files' texts that the input guardrails forbid: noted ones and patterns."""
    return await asyncio.to_thread(_guarded, request, guards)


def _guarded(request: ModelRequest, guards: Guards) -> ModelRequest:
    return replace(request, messages=tuple(_guarded_message(message, guards) for message in request.messages))


def _guarded_message(message: ModelMessage, guards: Guards) -> ModelMessage:
    if not any(map(_is_text, message.parts)):
        return message
    return replace(message, parts=tuple(_guarded_part(part, guards) for part in message.parts))


def _is_text(part: Part) -> bool:
    return isinstance(part, FilePart) and part.content is not None and part.content.form == "text"


def _guarded_part(part: Part, guards: Guards) -> Part:
    if not isinstance(part, FilePart) or part.content is None or part.content.form != "text":
        return part
    hidden = (part.facts or {}).get("hidden", ())
    return replace(part, content=FileContent("text", text=guards.redacted(part.content.text, hidden)))
