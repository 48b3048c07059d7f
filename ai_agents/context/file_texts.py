"""The texts of files in a request, without what the agent's input guardrails hide from models."""

from dataclasses import replace
from typing import TypeGuard

from ai_agents.core.types import FileContent, FilePart, ModelRequest, Part
from ai_agents.guardrails.guards import Guards


def has_text_files(request: ModelRequest) -> bool:
    """Whether the request holds texts of files."""
    return any(_is_text(part) for message in request.messages for part in message.parts)


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
