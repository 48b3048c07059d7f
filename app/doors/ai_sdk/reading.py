"""What a request of `useChat` says that is new. Pure."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.types import Loc, TextPart
from ai_agents.runner.client_calls import GivenResult
from app.doors.ai_sdk.schemas import ChatBody, UiMessage, UiPart
from app.doors.answers import Answers, Decided
from app.doors.files import Media

Part = TextPart | Media


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request asks for: a new message of these `parts`, or that a run goes on with `answers`.

    `key` tells one request from another: the message's id and what it says.
    """

    key: str
    parts: Sequence[Part]
    answers: Answers


NOTHING = Ask("", (), Answers())


def read_ask(body: ChatBody) -> Ask:
    """What the last message says. Raises `InvalidRequest`."""
    last, loc = body.messages[-1], ("messages", len(body.messages) - 1)
    if last.role == "assistant":
        answers = _answers(last, loc)
        decided = {name: [each.approved, each.reason] for name, each in answers.decisions.items()}
        return Ask(digest(last.id, decided, sorted(answers.results)), (), answers)
    parts = list(_parts(last, loc))
    if not parts:
        raise InvalidRequest("The last message is one of the user, or has answers to calls.", loc=loc)
    said = [part.text if isinstance(part, TextPart) else part.url for part in parts]
    return Ask(digest(last.id, said), parts, Answers())


def digest(*found: object) -> str:
    """The same text for the same."""
    return hashlib.sha256(json.dumps(list(found)).encode()).hexdigest()


def _parts(message: UiMessage, loc: Loc) -> Iterator[Part]:
    for index, part in enumerate(message.parts):
        if part.type == "text" and part.text:
            yield TextPart(part.text)
        elif part.type == "file":
            place = (*loc, "parts", index, "url")
            if not part.url:
                raise InvalidRequest("A file has a `url`: a `data:` URI.", loc=place)
            is_image = (part.media_type or "").startswith("image/")
            yield Media(place, url=part.url, filename=part.filename, is_image=is_image)


def _answers(message: UiMessage, loc: Loc) -> Answers:
    decisions: dict[str, Decided] = {}
    results: dict[str, GivenResult] = {}
    for index, part in enumerate(message.parts):
        if part.tool_call_id is None:
            continue
        if part.state == "approval-responded":
            if part.approval is None or part.approval.approved is None:
                raise InvalidRequest("An approval says `approved`.", loc=(*loc, "parts", index, "approval"))
            decisions[part.tool_call_id] = Decided(part.approval.approved, part.approval.reason)
        elif not part.provider_executed and (result := _result(part, part.tool_call_id)) is not None:
            results[part.tool_call_id] = result
    return Answers(decisions, results)


def _result(part: UiPart, tool_call_id: str) -> GivenResult | None:
    """What a call of the page gave; None for one that has not ended."""
    if part.state == "output-available":
        return {"tool_call_id": tool_call_id, "result": part.output}
    if part.state == "output-error":
        return {"tool_call_id": tool_call_id, "result": part.error_text or "The call failed.", "is_error": True}
    return None
