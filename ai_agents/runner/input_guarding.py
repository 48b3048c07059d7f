"""What comes in passes the agent's input guardrails before it is let in: texts, the names and texts of files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ai_agents.attachments.formatting import read_text
from ai_agents.attachments.storage import BlobStore
from ai_agents.core.types import FileContent, FilePart, ModelMessage, ModelRequest, Part, TextPart
from ai_agents.guardrails.base import Trigger
from ai_agents.guardrails.guards import Guards, Judged


class JudgeFirst(Exception):
    """The message cannot be let in before this version of the agent's guardrails has judged it."""

    def __init__(self, agent_id: str, version: int, parts: Sequence[TextPart | FilePart]) -> None:
        super().__init__()
        self.agent_id = agent_id
        self.version = version
        self.parts = parts


@dataclass(frozen=True, slots=True)
class Verdict:
    """A message as it may be let in: its parts, its files as they are referred to then (by their ids), and what was
    found in it by this version of this agent's guardrails.
    """

    agent_id: str
    version: int
    parts: tuple[TextPart | FilePart, ...]
    files: Mapping[str, FilePart] = field(default_factory=dict)
    triggers: tuple[Trigger, ...] = ()

    def is_of(self, agent_id: str, version: int) -> bool:
        """Whether it was spoken for this agent as it is."""
        return (self.agent_id, self.version) == (agent_id, version)

    def as_judged(self, part: TextPart | FilePart) -> TextPart | FilePart:
        """The part as a message refers to it."""
        return self.files.get(part.file_id, part) if isinstance(part, FilePart) else part


async def judge_message(guards: Guards, first: JudgeFirst, blobs: BlobStore | None) -> Verdict:
    """What may be let in. Raises `GuardrailBlocked`, `StorageUnavailable`."""
    texts = [part.text for part in first.parts if isinstance(part, TextPart)]
    judged = _allowed(guards, await guards.judge_texts(texts))
    triggers = dict.fromkeys(judged.triggers)
    seen = iter(judged.value)
    parts: list[TextPart | FilePart] = []
    for part in first.parts:
        if isinstance(part, TextPart):
            parts.append(TextPart(next(seen)))
        else:
            file, found = await _judge_file(guards, part, blobs)
            triggers |= dict.fromkeys(found)
            parts.append(file)
    files = {part.file_id: part for part in parts if isinstance(part, FilePart)}
    return Verdict(first.agent_id, first.version, tuple(parts), files, tuple(triggers))


async def judge_texts(guards: Guards, texts: Sequence[str]) -> list[str]:
    """What may be let in of texts that are read as one. Raises `GuardrailBlocked`."""
    judged: list[str] = _allowed(guards, await guards.judge_texts(texts)).value
    return judged


async def _judge_file(guards: Guards, part: FilePart, blobs: BlobStore | None) -> tuple[FilePart, tuple[Trigger, ...]]:
    """A file of which something may not be seen goes to models as the text that is left of it, never as it is."""
    name = _allowed(guards, await guards.judge_text(part.filename))
    text = await read_text(part, blobs)
    content = _allowed(guards, await guards.judge_text(text))
    facts = part.facts or {}
    if content.value != text:
        facts = {**facts, "judged": True}
    return replace(part, filename=name.value or "file", facts=facts), (*name.triggers, *content.triggers)


def _allowed(guards: Guards, judged: Judged) -> Judged:
    if judged.blocked_by is not None:
        raise guards.blocked(judged.blocked_by)
    return judged


def guard_files(request: ModelRequest, guards: Guards) -> ModelRequest:
    """The request without what patterns find in the texts of its files."""
    return replace(request, messages=tuple(_guarded(message, guards) for message in request.messages))


def _guarded(message: ModelMessage, guards: Guards) -> ModelMessage:
    if not any(isinstance(part, FilePart) for part in message.parts):
        return message
    return replace(message, parts=tuple(_guarded_part(part, guards) for part in message.parts))


def _guarded_part(part: Part, guards: Guards) -> Part:
    if not isinstance(part, FilePart) or part.content is None or part.content.form != "text":
        return part
    return replace(part, content=FileContent("text", text=guards.redacted(part.content.text)))
