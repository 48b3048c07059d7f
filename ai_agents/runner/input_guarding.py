"""Input guardrails: they judge a message before its admission: its texts, the names and texts of its files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ai_agents.attachments.formatting import read_text
from ai_agents.attachments.storage import BlobStore
from ai_agents.core.exceptions import GuardrailBlocked
from ai_agents.core.rows import RunOverrides
from ai_agents.core.types import FilePart, TextPart, ToolDefinition
from ai_agents.guardrails.base import Finding, Span
from ai_agents.guardrails.guards import Guards, JudgedValue

# How many places of a file's text are stored as hidden.
_MAX_SPANS = 1000


@dataclass(frozen=True, slots=True)
class JudgedMessage:
    """The allowed form of a message: its parts, its files by their ids, and what guardrails found in it."""

    parts: tuple[TextPart | FilePart, ...]
    files: Mapping[str, FilePart] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def as_judged(self, part: TextPart | FilePart) -> TextPart | FilePart:
        """The part in its allowed form."""
        return self.files.get(part.file_id, part) if isinstance(part, FilePart) else part


@dataclass(frozen=True, slots=True)
class Verdict:
    """The allowed form of a message, as this version of an agent judges it."""

    agent_id: str
    version: int
    message: JudgedMessage


async def judge_message(
    guards: Guards, message: Sequence[TextPart | FilePart], blobs: BlobStore | None
) -> JudgedMessage:
    """The allowed form of a message; its texts are judged as one. Raises `GuardrailBlocked`, `StorageUnavailable`."""
    texts = [part.text for part in message if isinstance(part, TextPart)]
    judged = _allowed(guards, await guards.judge_texts(texts))
    findings = dict.fromkeys(judged.triggers)
    seen = iter(judged.value)
    parts: list[TextPart | FilePart] = []
    for part in message:
        if isinstance(part, TextPart):
            parts.append(TextPart(next(seen)))
        else:
            file, found = await _judge_file(guards, part, blobs)
            findings |= dict.fromkeys(found)
            parts.append(file)
    files = {part.file_id: part for part in parts if isinstance(part, FilePart)}
    return JudgedMessage(tuple(parts), files, tuple(findings))


async def judge_tools(
    guards: Guards, tools: Sequence[ToolDefinition]
) -> tuple[Sequence[ToolDefinition], tuple[Finding, ...]]:
    """The tools of a client as they are allowed, and what guardrails found in them; they get to the model like text.

    Of descriptions parts may be hidden; names and parameters stay as they are, or block. Raises `GuardrailBlocked`.
    """
    if not tools:
        return (), ()
    told = _allowed(guards, await guards.judge_texts([each.description for each in tools]))
    fixed = [[each.name, each.parameters] for each in tools]
    judged = await _unchanged(guards, fixed, "the names or parameters of these tools")
    allowed = [replace(each, description=text) for each, text in zip(tools, told.value, strict=True)]
    return allowed, (*told.triggers, *judged)


async def judge_overrides(
    guards: Guards, overrides: RunOverrides | None
) -> tuple[RunOverrides | None, tuple[Finding, ...]]:
    """The overrides of a message as they are allowed, and what was found in what of them gets to the model as text.

    Parts of instructions may be hidden; a schema stays as it is, or blocks. Raises `GuardrailBlocked`.
    """
    if not overrides:
        return overrides, ()
    allowed: RunOverrides = {**overrides}
    findings: list[Finding] = []
    if "instructions" in overrides:
        told = _allowed(guards, await guards.judge_text(overrides["instructions"]))
        allowed["instructions"] = told.value
        findings += told.triggers
    if "output_schema" in overrides:
        findings += await _unchanged(guards, overrides["output_schema"], "this output schema")
    return allowed, tuple(findings)


async def _unchanged(guards: Guards, value: Any, what: str) -> tuple[Finding, ...]:
    """The findings in a JSON value that no part can be hidden of. Raises `GuardrailBlocked` where one should be."""
    judged = _allowed(guards, await guards.judge_json(value))
    if judged.value != value:
        found = judged.triggers[0].guardrail
        raise GuardrailBlocked(f"The guardrail {found} does not allow {what}.", guardrail=found, stage="input")
    return judged.triggers


async def _judge_file(guards: Guards, part: FilePart, blobs: BlobStore | None) -> tuple[FilePart, tuple[Finding, ...]]:
    """The file with a note which places of its text are hidden from models, or that none is. Its bytes stay."""
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
    """The spans in order; beyond the limit the last one covers all the rest."""
    ordered = sorted(spans)
    if len(ordered) <= _MAX_SPANS:
        return ordered
    return [*ordered[: _MAX_SPANS - 1], (ordered[_MAX_SPANS - 1][0], max(stop for _, stop in ordered))]


def _allowed(guards: Guards, judged: JudgedValue) -> JudgedValue:
    if judged.blocked_by is not None:
        raise guards.blocked_error(judged.blocked_by)
    return judged
