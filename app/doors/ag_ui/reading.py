"""What a run that a client asks for says that is new. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.types import JsonObject, Loc, TextPart, ToolDefinition
from ai_agents.runner.client_calls import GivenResult
from app.doors.ag_ui.schemas import ClientMessage, FileContent, ResumeEntry, RunAgentInput, TextContent
from app.doors.answers import Answers, Decided
from app.doors.files import Media

# The client's copy of what we have said.
_OURS = ("assistant", "reasoning", "activity")
_SYSTEM = ("system", "developer")
Part = TextPart | Media


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request asks for.

    `parts` are the new message, empty for none, and `message_id` is its id. `answers` have the results of all calls
    that the client has: which of them are new, the run that waits knows. `instructions` are for this run alone.
    """

    parts: Sequence[Part]
    message_id: str
    answers: Answers
    tools: Sequence[ToolDefinition]
    instructions: str | None

    @property
    def fingerprint(self) -> str:
        """The same for a request that asks for the same."""
        said = [part.text if isinstance(part, TextPart) else [part.file_id, part.url] for part in self.parts]
        decided = {name: [each.approved, each.reason] for name, each in self.answers.decisions.items()}
        return hashlib.sha256(json.dumps([said, decided, self.instructions]).encode()).hexdigest()


def read_ask(body: RunAgentInput) -> Ask:
    """What the request asks for. Raises `InvalidRequest`."""
    messages = list(enumerate(body.messages))
    last_answer = max((index for index, each in messages if each.role in _OURS), default=-1)
    parts: list[Part] = []
    message_id = ""
    for index, each in messages[last_answer + 1 :]:
        if each.role == "user":
            found = read_parts(each, index)
            parts.extend([TextPart("\n\n"), *found] if parts and found else found)
            message_id = each.id
    results = [_result(each, index) for index, each in messages if each.role == "tool"]
    return Ask(
        parts=parts,
        message_id=message_id,
        answers=Answers(_decisions(body.resume or ()), {each["tool_call_id"]: each for each in results}),
        tools=[
            ToolDefinition(each.name, each.description, each.parameters or {"type": "object", "properties": {}})
            for each in body.tools or ()
        ],
        instructions=_instructions(body),
    )


def read_parts(message: ClientMessage, index: int) -> list[Part]:
    """The parts of a message. Raises `InvalidRequest` for what is not taken."""
    loc: Loc = ("messages", index, "content")
    content = message.content
    if content is None or isinstance(content, str):
        return [TextPart(content)] if content else []
    if isinstance(content, dict):
        raise InvalidRequest("The content is a text or a list of parts.", loc=loc)
    return [_part(part, (*loc, place)) for place, part in enumerate(content)]


def _part(part: TextContent | FileContent, loc: Loc) -> Part:
    if isinstance(part, TextContent):
        return TextPart(part.text)
    if part.type in ("audio", "video"):
        raise InvalidRequest("Sound and films are not taken here.", loc=loc)
    source, is_image = part.source, part.type == "image"
    if source.type == "file":
        return Media((*loc, "source", "value"), file_id=source.value)
    url = source.value
    if source.type == "data":
        url = f"data:{source.mime_type or ''};base64,{source.value}"
    return Media((*loc, "source", "value"), url=url, is_image=is_image)


def _result(message: ClientMessage, index: int) -> GivenResult:
    if not message.tool_call_id:
        raise InvalidRequest("A result names its call.", loc=("messages", index, "toolCallId"))
    if message.error is not None:
        return {"tool_call_id": message.tool_call_id, "result": message.error, "is_error": True}
    text = "".join(part.text for part in read_parts(message, index) if isinstance(part, TextPart))
    return {"tool_call_id": message.tool_call_id, "result": text}


def _decisions(entries: Sequence[ResumeEntry]) -> dict[str, Decided]:
    found: dict[str, Decided] = {}
    for index, each in enumerate(entries):
        if each.status == "cancelled":
            found[each.interrupt_id] = Decided(approved=False)
            continue
        payload: JsonObject = each.payload if isinstance(each.payload, dict) else {}
        approved, reason = payload.get("approved"), payload.get("reason")
        if not isinstance(approved, bool) or not (reason is None or isinstance(reason, str)):
            raise InvalidRequest(
                'The answer to an approval is `{"approved": true or false}`.', loc=("resume", index, "payload")
            )
        found[each.interrupt_id] = Decided(approved, reason)
    return found


def _instructions(body: RunAgentInput) -> str | None:
    """The client's system messages, and what else the agent should know."""
    found = [each.content for each in body.messages if each.role in _SYSTEM and isinstance(each.content, str)]
    found += [f"{each.description}: {each.value}" for each in body.context or ()]
    return "\n\n".join(text for text in found if text) or None
