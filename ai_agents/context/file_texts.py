"""The texts of files in a request, without what the agent's input guardrails hide from models."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeGuard

from sqlalchemy import Connection

from ai_agents.core.types import FileContent, FilePart, ModelMessage, ModelRequest, Part
from ai_agents.guardrails.guards import Guards
from ai_agents.store import files


def has_text_files(request: ModelRequest) -> bool:
    """Whether the request holds texts of files."""
    return any(_is_text(part) for message in request.messages for part in message.parts)


def without_deleted(connection: Connection, messages: Sequence[ModelMessage]) -> tuple[ModelMessage, ...]:
    """The messages, with what they hold of files that were deleted replaced by a note of that."""
    file_ids = {part.file_id for message in messages for part in message.parts if isinstance(part, FilePart)}
    gone = files.deleted_among(connection, file_ids)

    def known(part: Part) -> Part:
        if not isinstance(part, FilePart) or part.file_id not in gone:
            return part
        return replace(part, facts=None, content=FileContent("name"), deleted=True)

    return tuple(replace(message, parts=tuple(map(known, message.parts))) for message in messages)


async def guard_files(request: ModelRequest, guards: Guards) -> ModelRequest:
    """The request without the parts of its files' texts that the input guardrails forbid: noted ones and patterns."""
    return await guards.in_thread(_guarded, request, guards)


def _guarded(request: ModelRequest, guards: Guards) -> ModelRequest:
    messages = [
        replace(message, parts=tuple(_guarded_part(part, guards) for part in message.parts))
        if any(map(_is_text, message.parts))
        else message
        for message in request.messages
    ]
    return replace(request, messages=tuple(messages))


def _is_text(part: Part) -> TypeGuard[FilePart]:
    return isinstance(part, FilePart) and part.content is not None and part.content.form == "text"


def _guarded_part(part: Part, guards: Guards) -> Part:
    if not _is_text(part) or part.content is None:
        return part
    hidden = (part.facts or {}).get("hidden", ())
    return replace(part, content=FileContent("text", text=guards.redacted(part.content.text, hidden)))
