"""What all wire formats need: files and tool results as text, tool names that every API takes, the current turn."""

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from ai_agents.core.json import dumps
from ai_agents.core.types import (
    FilePart,
    JsonObject,
    ModelMessage,
    ModelRequest,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolDefinition,
    ToolResultPart,
)

# Anthropic allows 128 characters, OpenAI 64.
MAX_NAME = 64
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_CLOSING_MARK = re.compile("</(?=file_content)", re.IGNORECASE)
# Replaces a user's message in which nothing can be sent. Every API refuses an empty one.
EMPTY_TEXT = "(empty message)"
# Stands between a tool's result and the next user's message, where the run ended before the model answered the result.
UNANSWERED = "(There was no answer.)"
# Stands before a greeting: most providers refuse a history that begins with the assistant.
ASSISTANT_BEGINS = "(The assistant begins the conversation.)"
# Neighbours of these roles are joined.
_JOINED_ROLES = frozenset({"user", "assistant"})
_ID_LENGTH = 9
_ID_LETTERS = string.ascii_letters + string.digits


class ToolNames:
    """Translates tool names for the APIs, which allow letters, digits, `_` and `-` (not `server/tool`), and back."""

    def __init__(self, tools: Iterable[ToolDefinition]) -> None:
        self._to_wire: dict[str, str] = {}
        self._from_wire: dict[str, str] = {}
        for tool in tools:
            plain = wire = _plain(tool.name)
            number = 2
            while wire in self._from_wire:
                suffix = f"_{number}"
                wire = plain[: MAX_NAME - len(suffix)] + suffix
                number += 1
            self._to_wire[tool.name] = wire
            self._from_wire[wire] = tool.name

    def to_wire(self, name: str) -> str:
        """The name to send. The history may name tools that are no longer offered."""
        return self._to_wire.get(name) or _plain(name)

    def from_wire(self, name: str) -> str:
        """The tool that the model means by this name; the name itself where there is no such tool."""
        return self._from_wire.get(name, name)


def visible_texts(parts: Iterable[Part]) -> list[str]:
    """The text and file parts as texts. Adjacent text parts are one. Blank texts are left out: the APIs refuse them."""
    texts: list[str] = []
    text = ""
    for part in parts:
        if isinstance(part, TextPart):
            text += part.text
        elif isinstance(part, FilePart):
            texts += [text, file_text(part)]
            text = ""
    texts.append(text)
    return [text for text in texts if text.strip()]


def file_text(part: FilePart) -> str:
    """The name of a file and, where the request holds it, its text between marks."""
    name = f"[file: {part.filename} ({part.media_type})]"
    if part.deleted:
        return f"{name[:-1]}: it was deleted, and its content is gone]"
    if part.content is None or part.content.form != "text" or not part.content.text.strip():
        return name
    # A text that contains the closing mark must not appear to end there.
    return f"{name}\n<file_content>\n{_CLOSING_MARK.sub('<_/', part.content.text)}\n</file_content>"


def tool_calls_of(message: ModelMessage) -> list[ToolCallPart]:
    """The tool calls of a message, in order."""
    return [part for part in message.parts if isinstance(part, ToolCallPart)]


def tool_results_of(message: ModelMessage) -> list[ToolResultPart]:
    """The tool results of a message, in order."""
    return [part for part in message.parts if isinstance(part, ToolResultPart)]


def functions_to_wire(request: ModelRequest, names: ToolNames) -> list[JsonObject]:
    """The tools in the form that is common to OpenAI's APIs and Ollama's."""
    return [
        {"name": names.to_wire(tool.name), "description": tool.description, "parameters": tool.parameters}
        for tool in request.tools
    ]


def own_origin(part: ReasoningPart | ToolCallPart, provider: str, model: str | None) -> Mapping[str, Any]:
    """What the provider wants back with this part; empty unless the same model made it."""
    origin = part.origin or {}
    return origin if (origin.get("provider"), origin.get("model")) == (provider, model) else {}


def without_none(settings: JsonObject) -> JsonObject:
    """The settings that have a value."""
    return {name: value for name, value in settings.items() if value is not None}


def result_text(part: ToolResultPart) -> str:
    """The result of a tool as a text that is not empty."""
    text = part.result if isinstance(part.result, str) else dumps(part.result)
    return text if text.strip() else "(no output)"


def turn_start(messages: Sequence[ModelMessage]) -> int:
    """The index after the last user's message, where the current turn begins; 0 where there is none."""
    return max((index + 1 for index, message in enumerate(messages) if message.role == "user"), default=0)


class CallIds:
    """Ids of tool calls in the form that every server takes: nine letters and digits, distinct within a request.

    Mistral's servers, and others with the templates of its models, want exactly that. An id follows from ours, so that
    a request begins with the same bytes as the one before it.
    """

    def __init__(self) -> None:
        self._to_wire: dict[str, str] = {}
        self._taken: set[str] = set()

    def to_wire(self, tool_call_id: str) -> str:
        """The id to send for a call, and for its result."""
        known = self._to_wire.get(tool_call_id)
        if known is not None:
            return known
        number = 0
        while (short := _short_id(f"{tool_call_id}{number or ''}")) in self._taken:
            number += 1
        return self.keep(tool_call_id, short)

    def keep(self, tool_call_id: str, wire: str) -> str:
        """Send the provider's own id, since it carries what the provider wants back. Returns it."""
        self._to_wire[tool_call_id] = wire
        self._taken.add(wire)
        return wire


def _short_id(text: str) -> str:
    number = int.from_bytes(blake2b(text.encode(errors="replace"), digest_size=8).digest())
    digits = []
    for _ in range(_ID_LENGTH):
        number, digit = divmod(number, len(_ID_LETTERS))
        digits.append(_ID_LETTERS[digit])
    return "".join(digits)


def alternating(messages: Iterable[JsonObject]) -> list[JsonObject]:
    """Messages in the form of chat completions, with neighbours of one role joined into one, beginning with a user's.

    The templates of many models refuse a conversation in which user and assistant do not take turns. The messages only
    grow from turn to turn: a message is joined with what comes before it.
    """
    joined: list[JsonObject] = []
    before: JsonObject = {}
    before_role: str | None = None
    for message in messages:
        role = message["role"]
        if role == before_role and role in _JOINED_ROLES and not before.get("tool_calls"):
            before = joined[-1] = _joined(before, message)
            continue
        if role == "user" and before_role == "tool":
            joined.append({"role": "assistant", "content": UNANSWERED})
        elif role == "assistant" and (before_role is None or before_role == "system"):
            joined.append({"role": "user", "content": ASSISTANT_BEGINS})
        joined.append(message)
        before, before_role = message, role
    return joined


def _joined(first: JsonObject, second: JsonObject) -> JsonObject:
    both = first | second
    contents = [each["content"] for each in (first, second) if each.get("content")]
    if all(isinstance(content, str) for content in contents):
        # Some servers want `content` to be null where there is none, others an empty text.
        both["content"] = "\n\n".join(contents) or second["content"]
    else:
        both["content"] = [part for content in contents for part in _content_parts(content)]
    for name in first.keys() & second.keys():
        if name != "content" and isinstance(first[name], list) and isinstance(second[name], list):
            both[name] = [*first[name], *second[name]]
    return both


def _content_parts(content: Any) -> list[JsonObject]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _plain(name: str) -> str:
    name = _NOT_IN_NAMES.sub("_", name)[:MAX_NAME]
    # Gemini wants a letter or `_` first.
    return name if name[:1].isalpha() or name[:1] == "_" else f"_{name}"[:MAX_NAME]
