"""What OpenAI's Assistants API left behind, as agents and threads here.

Sources: the types `Assistant`, `Thread`, `Message` and `FileObject` of https://github.com/openai/openai-python
(`openai/types/beta`, `openai/types`), read 2026-11-30. That API has no list of threads: they are exported one by one.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from ai_agents.core import json
from ai_agents.core.ids import format_time
from ai_agents.core.json import clean_text
from ai_agents.core.types import JsonObject
from ai_agents.moving.records import BadRecord

Kind = Literal["assistant", "thread", "message", "file"]
# How the API calls its objects.
OBJECTS: Mapping[str, Kind] = {
    "assistant": "assistant",
    "thread": "thread",
    "thread.message": "message",
    "file": "file",
}
# Under these names people keep lists of objects in one object.
_NAMED = frozenset({"assistants", "thread", "threads", "messages", "files", "data"})
_EFFORTS = {"none": "none", "minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high"}
_MAX_METADATA_BYTES = 16 * 1024
_FOREIGN_ID = "openai_id"


@dataclass(frozen=True, slots=True)
class Found:
    """An object of the API, or a fault: what was expected and is not there. A message has its thread's id."""

    kind: Kind | None
    id: str
    value: JsonObject
    thread_id: str | None = None
    created_at: int = 0
    fault: str = ""
    # Of an object that is not imported, such as a run.
    skipped: str = ""
    # In a list of the API, which has the newest first unless it was asked otherwise.
    listed: bool = False


@dataclass(frozen=True, slots=True)
class DraftAgent:
    """An agent that is made of an assistant. `notes` say what it had that has no counterpart."""

    id: str
    spec: JsonObject
    created_at: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DraftMessage:
    """A message. Parts are in their stored form, but those of type `openai_file`: files that are to be looked up."""

    id: str
    role: Literal["user", "assistant"]
    parts: list[JsonObject]
    status: Literal["completed", "incomplete"]
    metadata: JsonObject
    created_at: str
    notes: tuple[str, ...]


def objects_in(value: Any, *, listed: bool = False) -> Iterator[Found]:
    """The objects of the API in a value: itself, or those in its lists, however they are wrapped."""
    if isinstance(value, list):
        for each in value:
            yield from objects_in(each, listed=listed)
        return
    if not isinstance(value, dict):
        yield Found(None, "", {}, fault="it is no object of the API")
        return
    name = value.get("object")
    kind = OBJECTS.get(name) if isinstance(name, str) else None
    inner = _NAMED & value.keys() if kind in (None, "thread") else frozenset[str]()
    if kind is not None:
        yield _found(kind, value, listed)
    elif name == "list" or (name is None and inner):
        if value.get("has_more") is True:
            yield Found(None, "", {}, fault="a list says `has_more`: what follows it is in no line of its own")
    elif isinstance(name, str):
        yield Found(None, str(value.get("id", "")), {}, skipped=f"{name} is not imported")
    else:
        yield Found(None, "", {}, fault="it is no object of the API")
    for each in sorted(inner):
        yield from objects_in(value[each], listed=name == "list")


def _found(kind: Kind, value: JsonObject, listed: bool) -> Found:
    try:
        foreign_id = _text(value, "id")
        if not foreign_id or len(foreign_id) > 200:
            raise BadRecord("its id is missing")
        thread_id = _text(value, "thread_id") if kind == "message" else None
        return Found(kind, foreign_id, value, thread_id, _seconds(value), listed=listed)
    except BadRecord as error:
        return Found(None, str(value.get("id", "")), {}, fault=f"{kind}: {error}")


def id_of(kind: Kind, foreign_id: str, user_id: str, created_at: int) -> str:
    """Our id of an object: always the same for this user, and a UUIDv7 of its time, so that lists have its order."""
    hashed = int.from_bytes(hashlib.sha256(f"{user_id}\0{kind}\0{foreign_id}".encode()).digest()[:10], "big")
    number = (created_at * 1000 & (1 << 48) - 1) << 80 | 7 << 76 | (hashed >> 62 & 0xFFF) << 64
    number |= 2 << 62 | hashed & (1 << 62) - 1
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def to_agent(found: Found, user_id: str) -> DraftAgent:
    """The agent of an assistant. Raises `BadRecord`."""
    value = found.value
    notes: list[str] = []
    settings: JsonObject = {}
    for name in ("temperature", "top_p"):
        number = value.get(name)
        if isinstance(number, int | float) and not isinstance(number, bool):
            settings[name] = number
    if (effort := value.get("reasoning_effort")) is not None:
        settings["reasoning"] = _EFFORTS.get(str(effort), "medium")
    schema = _output_schema(value.get("response_format"), notes)
    notes += [f"unsupported: {_tool_name(tool)}" for tool in _list(value, "tools")]
    if any((value.get("tool_resources") or {}).values()):
        notes.append("unsupported: tool_resources")
    metadata = _metadata(value, found.id, notes)
    spec: JsonObject = {
        "name": _text(value, "name", optional=True).strip() or found.id,
        "description": _text(value, "description", optional=True) or None,
        "system_prompt": _text(value, "instructions", optional=True) or None,
        "provider": "openai",
        "model": _text(value, "model"),
        "settings": settings,
        "output_schema": schema,
        "metadata": metadata,
    }
    agent_id = id_of("assistant", found.id, user_id, found.created_at)
    return DraftAgent(agent_id, spec, time_of(found.created_at), tuple(dict.fromkeys(notes)))


def to_thread_metadata(found: Found) -> tuple[JsonObject, tuple[str, ...]]:
    """A thread's metadata, and what it had that has no counterpart."""
    notes: list[str] = []
    if any((found.value.get("tool_resources") or {}).values()):
        notes.append("unsupported: tool_resources")
    return _metadata(found.value, found.id, notes), tuple(notes)


def to_message(found: Found, user_id: str) -> DraftMessage:
    """The message, with files that are still to be looked up. Raises `BadRecord`."""
    value = found.value
    notes: list[str] = []
    role = value.get("role")
    if role not in ("user", "assistant"):
        raise BadRecord("message.role is neither user nor assistant")
    annotations: list[Any] = []
    parts: list[JsonObject] = []
    for number, block in enumerate(_list(value, "content")):
        parts.append(_part(block, f"message.content[{number}]", annotations))
    attached = [*_list(value, "attachments"), *(each.get("file_path") for each in annotations)]
    parts += [
        {"type": "openai_file", "file_id": each["file_id"], "as": "file"}
        for each in attached
        if isinstance(each, dict) and isinstance(each.get("file_id"), str)
    ]
    metadata = _metadata(value, found.id, notes)
    if annotations:
        more = {**metadata, "annotations": annotations}
        if len(json.dumps(more).encode()) <= _MAX_METADATA_BYTES:
            metadata = more
        else:
            notes.append("annotations left out: they are too long")
    status: Literal["completed", "incomplete"] = (
        "completed" if value.get("status", "completed") == "completed" else "incomplete"
    )
    message_id = id_of("message", found.id, user_id, found.created_at)
    return DraftMessage(message_id, role, parts, status, metadata, time_of(found.created_at), tuple(notes))


def assistant_of(found: Found) -> str | None:
    """The assistant that wrote a message."""
    named = found.value.get("assistant_id")
    return named if isinstance(named, str) else None


def time_of(seconds: int) -> str:
    """A time of the API, as times are here."""
    return format_time(datetime.fromtimestamp(seconds, UTC))


def _part(block: Any, place: str, annotations: list[Any]) -> JsonObject:
    kind = block.get("type") if isinstance(block, dict) else None
    inner = block.get(kind) if isinstance(kind, str) else None
    if kind == "text" and isinstance(inner, dict) and isinstance(inner.get("value"), str):
        annotations += [each for each in inner.get("annotations") or [] if isinstance(each, dict)]
        return {"type": "text", "text": clean_text(inner["value"])}
    if kind == "refusal" and isinstance(inner, str):
        return {"type": "text", "text": clean_text(inner)}
    if kind == "image_file" and isinstance(inner, dict) and isinstance(inner.get("file_id"), str):
        return {"type": "openai_file", "file_id": inner["file_id"], "as": "image"}
    if kind == "image_url" and isinstance(inner, dict) and isinstance(inner.get("url"), str):
        return {"type": "text", "text": f"[image: {clean_text(inner['url'])}]"}
    raise BadRecord(f"{place} has another form")


def _output_schema(wanted: Any, notes: list[str]) -> JsonObject | None:
    kind = wanted.get("type") if isinstance(wanted, dict) else wanted
    if kind == "json_schema":
        described = wanted.get("json_schema")
        schema = described.get("schema") if isinstance(described, dict) else None
        if isinstance(schema, dict):
            return schema
        notes.append("unsupported: response_format without a schema")
    elif kind not in (None, "auto", "text"):
        notes.append(f"unsupported: response_format {kind}")
    return None


def _tool_name(tool: Any) -> str:
    kind = tool.get("type") if isinstance(tool, dict) else None
    function = tool.get("function") if kind == "function" else None
    if isinstance(function, dict) and isinstance(function.get("name"), str):
        return f"function {clean_text(function['name'])[:64]}"
    return str(kind)[:64]


def _metadata(value: JsonObject, foreign_id: str, notes: list[str]) -> JsonObject:
    given = value.get("metadata") or {}
    own: JsonObject = {_FOREIGN_ID: foreign_id}
    if not isinstance(given, dict):
        raise BadRecord("its metadata is no object")
    metadata = {clean_text(name): clean_text(each) if isinstance(each, str) else each for name, each in given.items()}
    try:
        if len(json.dumps(metadata | own).encode()) <= _MAX_METADATA_BYTES:
            return metadata | own
    except TypeError:
        pass
    notes.append("metadata left out: it is too long")
    return own


def _list(value: JsonObject, name: str) -> list[Any]:
    found = value.get(name)
    if found is not None and not isinstance(found, list):
        raise BadRecord(f"its {name} is no list")
    return found or []


def _text(value: JsonObject, name: str, *, optional: bool = False) -> str:
    found = value.get(name)
    if found is None and optional:
        return ""
    if not isinstance(found, str):
        raise BadRecord(f"its {name} is no text")
    return clean_text(found)


def _seconds(value: JsonObject) -> int:
    found = value.get("created_at", 0)
    if type(found) is not int or not 0 <= found < 2**33:
        raise BadRecord("its created_at is no time")
    return found
