"""What a request for a chat completion asks for, in our words. Pure: files are still as they came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.types import JsonObject, Loc, TextPart, ToolCallPart, ToolDefinition, ToolResultPart
from app.doors.chat_completions.schemas import (
    ChatAudioPart,
    ChatContent,
    ChatFilePart,
    ChatImagePart,
    ChatMessage,
    ChatRefusalPart,
    ChatTextPart,
    CreateChatCompletion,
)
from app.doors.files import Media
from app.doors.history import HistoryMessage, HistoryPart
from app.doors.openai_tools import ToolChoice, demand, read_choice

_SYSTEM = ("developer", "system")
_EFFORTS = {"minimal": "low", "xhigh": "high", "max": "high"}
# Between what were messages of their own.
_GAP = TextPart("\n\n")

Part = TextPart | Media


@dataclass(frozen=True, slots=True)
class ChatCall:
    """What is asked for: an answer to `parts`, or to `results` of the client's calls (their ids and values).

    `history` is all before that, which counts where no thread has it. `instructions`, `settings`, `output_schema` and
    `tools` are for this call.
    """

    parts: Sequence[Part]
    results: Mapping[str, str]
    history: Sequence[HistoryMessage]
    instructions: str | None
    settings: JsonObject
    output_schema: JsonObject | None
    tools: Sequence[ToolDefinition]


def read_call(body: CreateChatCompletion) -> ChatCall:
    """What the request asks for. Raises `InvalidRequest`, which names the field."""
    if body.n not in (None, 1):
        raise InvalidRequest("There is one answer here.", loc=("n",))
    talked = [(index, each) for index, each in enumerate(body.messages) if each.role not in _SYSTEM]
    last = max((place for place, (_, each) in enumerate(talked) if each.role == "assistant"), default=-1)
    before, new = talked[: last + 1], talked[last + 1 :]
    asked = [(index, each) for index, each in new if each.role == "user"]
    answered = [(index, each) for index, each in new if each.role == "tool"]
    if not new:
        raise InvalidRequest("The last message is one of the user, or the result of a tool.", loc=("messages",))
    if asked and answered:
        # The client goes on after its own tools: what they gave is history.
        before, answered = before + answered, []
    names = {
        call.id: call.function.name for _, each in before for call in each.tool_calls or () if call.function is not None
    }
    choice = read_choice(body.tool_choice)
    tools = _tools(body, choice)
    instructions = _instructions(body.messages)
    if choice.is_required:
        instructions = "\n\n".join(filter(None, (instructions, demand(tools))))
    return ChatCall(
        parts=_joined([_parts(each.content, _place(index)) for index, each in asked]),
        results=_results(answered),
        history=[found for index, each in before if (found := _past(each, index, names)) is not None],
        instructions=instructions,
        settings=_settings(body),
        output_schema=_output_schema(body),
        tools=tools,
    )


def _place(index: int) -> Loc:
    return "messages", index, "content"


def _joined(messages: Sequence[Sequence[Part]]) -> list[Part]:
    """The parts of several messages as one message."""
    found: list[Part] = []
    for parts in messages:
        if found and parts:
            found.append(_GAP)
        found.extend(parts)
    return found


def _parts(content: ChatContent | None, loc: Loc) -> list[Part]:
    if content is None or isinstance(content, str):
        return [TextPart(content)] if content else []
    found: list[Part] = []
    for index, part in enumerate(content):
        match part:
            case ChatTextPart():
                found.append(TextPart(part.text))
            case ChatRefusalPart():
                found.append(TextPart(part.refusal))
            case ChatImagePart():
                found.append(Media((*loc, index, "image_url", "url"), url=part.image_url.url, is_image=True))
            case ChatFilePart():
                found.append(_file(part, (*loc, index, "file")))
            case ChatAudioPart():
                raise InvalidRequest("Audio is not taken here.", loc=(*loc, index))
    return found


def _file(part: ChatFilePart, loc: Loc) -> Media:
    if part.file.file_id is not None:
        return Media((*loc, "file_id"), file_id=part.file.file_id)
    if part.file.file_data is None:
        raise InvalidRequest("A file has a `file_data` or a `file_id`.", loc=loc)
    return Media((*loc, "file_data"), url=part.file.file_data, filename=part.file.filename)


def _text(content: ChatContent | None, loc: Loc) -> str:
    """Content that can be text alone."""
    parts = _parts(content, loc)
    for part in parts:
        if isinstance(part, Media):
            raise InvalidRequest("Only text is taken in this message.", loc=part.loc)
    return "".join(part.text for part in parts if isinstance(part, TextPart))


def _results(messages: Sequence[tuple[int, ChatMessage]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for index, each in messages:
        if not each.tool_call_id:
            raise InvalidRequest("A result names its call.", loc=("messages", index, "tool_call_id"))
        found[each.tool_call_id] = _text(each.content, _place(index))
    return found


def _past(message: ChatMessage, index: int, names: Mapping[str, str]) -> HistoryMessage | None:
    """A message of before; None for an empty one."""
    loc: Loc = ("messages", index)
    if message.role == "tool":
        ((call_id, text),) = _results([(index, message)]).items()
        return HistoryMessage(
            "tool", [ToolResultPart(call_id, names.get(call_id, "unknown"), text, is_error=False)], loc
        )
    if message.role == "user":
        parts: list[HistoryPart] = [*_parts(message.content, _place(index))]
    else:
        text = _text(message.content, _place(index))
        calls = [
            ToolCallPart(call.id, call.function.name, _arguments(call.function.arguments))
            for call in message.tool_calls or ()
            if call.function is not None
        ]
        parts = [*([TextPart(text)] if text else []), *calls]
    return HistoryMessage(message.role, parts, loc) if parts else None


def _arguments(text: str) -> JsonObject:
    """What a client says that the arguments were. A model is shown what is no object as text."""
    try:
        found = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        found = text
    return found if isinstance(found, dict) else {"arguments": text}


def _instructions(messages: Sequence[ChatMessage]) -> str | None:
    found = [_text(each.content, _place(index)) for index, each in enumerate(messages) if each.role in _SYSTEM]
    return "\n\n".join(text for text in found if text) or None


def _settings(body: CreateChatCompletion) -> JsonObject:
    """The sampling settings that the client gives."""
    effort = body.reasoning_effort
    given: dict[str, Any] = {
        "temperature": body.temperature,
        "top_p": body.top_p,
        "max_tokens": body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens,
        "stop": [body.stop] if isinstance(body.stop, str) else body.stop,
        "reasoning": None if effort is None else _EFFORTS.get(effort, effort),
    }
    return {name: value for name, value in given.items() if value not in (None, [], [""])}


def _output_schema(body: CreateChatCompletion) -> JsonObject | None:
    form = body.response_format
    if form is None or form.type == "text":
        return None
    if form.type == "json_object":
        return {"type": "object"}
    if form.json_schema is None or form.json_schema.json_schema is None:
        raise InvalidRequest("A schema is missing.", loc=("response_format", "json_schema", "schema"))
    return form.json_schema.json_schema


def _tools(body: CreateChatCompletion, choice: ToolChoice) -> list[ToolDefinition]:
    found = []
    for index, tool in enumerate(body.tools or ()):
        if tool.type != "function" or tool.function is None:
            raise InvalidRequest("A tool is a function.", loc=("tools", index, "type"))
        parameters = tool.function.parameters or {"type": "object", "properties": {}}
        found.append(ToolDefinition(tool.function.name, tool.function.description or "", parameters))
    return choice.among(found)
