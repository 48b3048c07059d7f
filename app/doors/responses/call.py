"""A request for a response as what is asked of us: pure, without a look at what is stored.

What changes the answer and cannot be done here is refused. What is a mere hint (how many calls at once, a tier, how
wordy) is taken, and the response says what was really used.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.ids import new_tool_call_id
from ai_agents.core.types import JsonObject, Loc, TextPart, ToolCallPart, ToolDefinition, ToolResultPart
from app.doors.files import Media
from app.doors.history import HistoryMessage
from app.doors.openai_tools import ToolChoice, demand, read_choice
from app.doors.responses.items import OWN_SERVER, in_namespace
from app.doors.responses.resource import Asked, tool_shown
from app.doors.responses.schemas import (
    ApprovalIn,
    ContentPart,
    ConversationRef,
    CreateResponse,
    FileIn,
    FunctionCallIn,
    FunctionOutputIn,
    FunctionToolIn,
    ImageIn,
    InputItem,
    McpCallIn,
    MessageIn,
    ReferenceIn,
    RefusalIn,
    TextFormatIn,
)

# Fields that a response repeats as they are.
_Repeated = Literal[
    "temperature", "top_p", "max_output_tokens", "truncation", "store", "background", "metadata", "safety_identifier",
    "prompt_cache_key",
]  # fmt: skip
# Between what were messages of their own.
_GAP = TextPart("\n\n")
_NO_PARAMETERS: JsonObject = {"type": "object", "properties": {}}
_REPEATED: tuple[_Repeated, ...] = get_args(_Repeated)
_EFFORTS = {"minimal": "low", "xhigh": "high"}


@dataclass(frozen=True, slots=True)
class Input:
    """What the items of a request say.

    `history` comes before the new message `parts`. `outputs` are the client's answers to calls, by the calls' ids;
    `is_answer`: they, or `approvals`, are what is new; `is_whole`: the history has the calls that they answer.
    `system` is for this request alone.
    """

    history: tuple[HistoryMessage, ...] = ()
    parts: tuple[TextPart | Media, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    approvals: tuple[ApprovalIn, ...] = ()
    is_answer: bool = False
    is_whole: bool = False
    system: str = ""


@dataclass(frozen=True, slots=True)
class Overrides:
    """What is asked for this answer alone."""

    settings: JsonObject
    output_schema: JsonObject | None
    instructions: str
    tools: tuple[ToolDefinition, ...]


def read_input(given: str | Sequence[InputItem], loc: Loc = ("input",)) -> Input:
    """What the items say. Raises `InvalidRequest`."""
    items = [MessageIn(role="user", content=given)] if isinstance(given, str) else list(given)
    turn = 1 + max((n for n, item in enumerate(items) if _is_models(item)), default=-1)
    outputs = {
        each.call_id: _output_text(each, (*loc, n))
        for n, each in enumerate(items)
        if isinstance(each, FunctionOutputIn)
    }
    approvals = tuple(each for each in items if isinstance(each, ApprovalIn))
    tail = items[turn:]
    said = [each for each in tail if isinstance(each, MessageIn) and each.role == "user"]
    answers = any(isinstance(each, FunctionOutputIn | ApprovalIn) for each in tail)
    first_new = next((n for n, each in enumerate(items) if n >= turn and each in said), len(items))
    system = "\n\n".join(
        _text(each.content) for each in items if isinstance(each, MessageIn) and each.role in ("system", "developer")
    )
    return Input(
        history=tuple(read_history(items[:first_new], loc)),
        parts=tuple(_joined([_new_parts(each, (*loc, n)) for n, each in enumerate(items) if n >= first_new])),
        outputs=outputs,
        approvals=approvals,
        is_answer=answers and not said,
        is_whole=outputs.keys() <= {each.call_id for each in items if isinstance(each, FunctionCallIn)},
        system=system,
    )


def read_overrides(body: CreateResponse, said: Input) -> Overrides:
    """What is asked for this answer alone. Raises `InvalidRequest` for what cannot be done here."""
    _refuse(body)
    settings: JsonObject = {}
    if body.temperature is not None:
        settings["temperature"] = body.temperature
    if body.top_p is not None:
        settings["top_p"] = body.top_p
    if body.max_output_tokens is not None:
        settings["max_tokens"] = body.max_output_tokens
    if body.reasoning is not None and (effort := body.reasoning.effort) is not None:
        settings["reasoning"] = _EFFORTS.get(effort, effort)
    choice = read_choice(body.tool_choice)
    tools = _tools(body, choice)
    wanted = [text for text in (body.instructions, said.system, demand(tools) if choice.is_required else "") if text]
    return Overrides(settings, _schema(body.text.format if body.text else None), "\n\n".join(wanted), tools)


def to_asked(body: CreateResponse, overrides: Overrides) -> Asked:
    """What the response repeats of its request: what was really used."""
    asked = Asked()
    if overrides.instructions:
        asked["instructions"] = overrides.instructions
    if body.previous_response_id is not None:
        asked["previous_response_id"] = body.previous_response_id
    if overrides.tools:
        asked["tools"] = [tool_shown(each) for each in overrides.tools]
    if body.tool_choice is not None:
        asked["tool_choice"] = body.tool_choice
    if namespaces := [each.name for each in body.tools or () if each.type == "namespace" and each.name]:
        asked["namespaces"] = namespaces
    if body.text is not None and body.text.format is not None:
        asked["text"] = {"format": _format_shown(body.text.format)}
    if body.reasoning is not None:
        effort = body.reasoning.effort
        asked["reasoning"] = {"effort": effort and _EFFORTS.get(effort, effort), "summary": None}
    for name in _REPEATED:
        if (value := getattr(body, name)) is not None:
            asked[name] = value
    if (conversation := conversation_of(body)) is not None:
        asked["conversation"] = {"id": conversation}
    return asked


def conversation_of(body: CreateResponse) -> str | None:
    """The conversation that the request names."""
    found = body.conversation
    return found.id if isinstance(found, ConversationRef) else found


def _refuse(body: CreateResponse) -> None:
    """Raises `InvalidRequest` for what would change the answer and cannot be done here."""
    if body.conversation is not None and body.previous_response_id is not None:
        raise InvalidRequest("Name a conversation or a previous response, not both.", loc=("previous_response_id",))
    if body.background and body.store is False:
        raise InvalidRequest("A response in the background is stored: it is fetched later.", loc=("store",))
    for name in ("presence_penalty", "frequency_penalty", "top_logprobs"):
        if getattr(body, name):
            raise InvalidRequest("This cannot be set here.", loc=(name,))
    for name in ("prompt", "max_tool_calls"):
        if getattr(body, name) is not None:
            raise InvalidRequest("This cannot be set here.", loc=(name,))


def _tools(body: CreateResponse, choice: ToolChoice) -> tuple[ToolDefinition, ...]:
    found: list[ToolDefinition] = []
    for index, given in enumerate(body.tools or ()):
        loc = ("tools", index)
        if given.type == "namespace" and given.name is not None:
            inner = [_tool(each, (*loc, "tools", n)) for n, each in enumerate(given.tools or ())]
            found += [replace(each, name=in_namespace(given.name, each.name)) for each in inner]
        else:
            found.append(_tool(given, loc))
    return tuple(choice.among(found))


def _tool(given: FunctionToolIn, loc: Loc) -> ToolDefinition:
    if given.type != "function":
        text = f"Tools of type {given.type} are not offered here: the agent has tools of its own."
        raise InvalidRequest(text, loc=(*loc, "type"))
    if given.name is None:
        raise InvalidRequest("A function needs a name.", loc=(*loc, "name"))
    return ToolDefinition(given.name, given.description or "", given.parameters or _NO_PARAMETERS)


def _schema(form: TextFormatIn | None) -> JsonObject | None:
    if form is None or form.type == "text":
        return None
    if form.type == "json_object":
        return {"type": "object"}
    if form.json_schema is None:
        raise InvalidRequest("A form of type json_schema needs a schema.", loc=("text", "format", "schema"))
    return form.json_schema


def _format_shown(form: TextFormatIn) -> JsonObject:
    """The form as the Open Responses document has it: there the schema itself is not repeated."""
    if form.type != "json_schema":
        return {"type": form.type}
    return {
        "type": form.type,
        "name": form.name or "answer",
        "description": form.description,
        "schema": None,
        "strict": bool(form.strict),
    }


# Items.


def _is_models(item: InputItem) -> bool:
    """Whether the model said it."""
    return isinstance(item, FunctionCallIn | McpCallIn | ReferenceIn) or (
        isinstance(item, MessageIn) and item.role == "assistant"
    )


def read_history(items: Sequence[InputItem], loc: Loc) -> Iterator[HistoryMessage]:
    """The messages of the history. Calls in a row are one message; calls get ids of ours."""
    calls = _Calls()
    for n, item in enumerate(items):
        place = (*loc, n)
        if isinstance(item, FunctionCallIn):
            name = item.name if item.namespace is None else in_namespace(item.namespace, item.name)
            calls.add(item.call_id, name, item.arguments, place)
            continue
        if isinstance(item, McpCallIn):
            name = item.name if item.server_label == OWN_SERVER else f"{item.server_label}/{item.name}"
            calls.add(item.id, name, item.arguments, place)
        yield from calls.take()
        if isinstance(item, MessageIn) and item.role in ("user", "assistant"):
            parts = tuple(_parts(item.content, (*place, "content")))
            if any(isinstance(part, Media) or part.text for part in parts):
                yield HistoryMessage(item.role, parts, place)
        elif isinstance(item, FunctionOutputIn):
            yield from calls.answer(item.call_id, _output_text(item, place), place)
        elif isinstance(item, McpCallIn):
            yield from calls.answer(item.id, item.output or "", place)
    yield from calls.take()


class _Calls:
    """The calls of a history: those that are not part of a message yet, and those without a result."""

    def __init__(self) -> None:
        self._new: list[ToolCallPart] = []
        self._loc: Loc = ()
        self._open: dict[str, ToolCallPart] = {}

    def add(self, call_id: str, name: str, arguments: str, loc: Loc) -> None:
        call = ToolCallPart(new_tool_call_id(), name, _arguments(arguments))
        self._loc = self._loc if self._new else loc
        self._new.append(call)
        self._open[call_id] = call

    def take(self) -> Iterator[HistoryMessage]:
        """The message of the calls in a row so far, if there are any."""
        if self._new:
            yield HistoryMessage("assistant", tuple(self._new), self._loc)
            self._new = []

    def answer(self, call_id: str, text: str, loc: Loc) -> Iterator[HistoryMessage]:
        """The message with a result; none for a call that is not there."""
        if (call := self._open.pop(call_id, None)) is not None:
            yield HistoryMessage("tool", (ToolResultPart(call.tool_call_id, call.name, text),), loc)


def _arguments(text: str) -> JsonObject:
    """What a client says that the arguments were. A model is shown what is no object as text."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = text
    return found if isinstance(found, dict) else {"arguments": text}


def _new_parts(item: InputItem, loc: Loc) -> list[TextPart | Media]:
    if isinstance(item, MessageIn) and item.role == "user":
        return list(_parts(item.content, (*loc, "content")))
    return []


def _joined(messages: Sequence[Sequence[TextPart | Media]]) -> list[TextPart | Media]:
    """The parts of several messages as one message."""
    found: list[TextPart | Media] = []
    for parts in messages:
        if found and parts:
            found.append(_GAP)
        found.extend(parts)
    return found


def _parts(content: str | Sequence[ContentPart], loc: Loc) -> Iterator[TextPart | Media]:
    if isinstance(content, str):
        yield TextPart(content)
        return
    for n, part in enumerate(content):
        place = (*loc, n)
        if isinstance(part, ImageIn):
            if part.image_url is None and part.file_id is None:
                raise InvalidRequest("An image has an address or a file's id.", loc=(*place, "image_url"))
            yield Media(place, file_id=part.file_id, url=part.image_url or "", is_image=True)
        elif isinstance(part, FileIn):
            yield _file(part, place)
        else:
            yield TextPart(part.refusal if isinstance(part, RefusalIn) else part.text)


def _file(part: FileIn, loc: Loc) -> Media:
    if part.file_id is None and part.file_data is None:
        if part.file_url is not None:
            raise InvalidRequest("Files are not fetched; send their content, or upload them.", loc=(*loc, "file_url"))
        raise InvalidRequest("A file has content or an id.", loc=(*loc, "file_data"))
    return Media(loc, file_id=part.file_id, url=part.file_data or "", filename=part.filename)


def _text(content: str | Sequence[ContentPart]) -> str:
    return "".join(part.text for part in _parts(content, ()) if isinstance(part, TextPart))


def _output_text(item: FunctionOutputIn, loc: Loc) -> str:
    if not isinstance(item.output, str) and any(isinstance(part, ImageIn | FileIn) for part in item.output):
        raise InvalidRequest("The answer to a call is text.", loc=(*loc, "output"))
    return _text(item.output)
