"""The rules of all providers for a history, as a check; and histories that break them."""

from collections.abc import Sequence

from hypothesis import strategies as st

from ai_agents.core.parts import text_of
from ai_agents.core.types import (
    FilePart,
    MessageRole,
    ModelMessage,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

_ALLOWED = {
    "user": (TextPart, FilePart),
    "assistant": (TextPart, ReasoningPart, ToolCallPart),
    "tool": (ToolResultPart,),
}


def check(messages: Sequence[ModelMessage]) -> None:
    """Fails unless the messages may be sent."""
    if not messages:
        return
    assert messages[0].role == "user", "begins with a user's message"
    ids: list[str] = []
    place = 0
    while place < len(messages):
        message = messages[place]
        assert message.role != "tool", "a tool's message stands right after the call"
        _check_content(message)
        called = [part for part in message.parts if isinstance(part, ToolCallPart)]
        ids += [part.tool_call_id for part in called]
        answers = messages[place + 1 : place + 1 + len(called)]
        assert [_answered(answer) for answer in answers] == [(part.tool_call_id, part.name) for part in called]
        place += 1 + len(called)
    assert all(ids)
    assert all(len(id_) <= 40 for id_ in ids)
    assert len(ids) == len(set(ids)), "every call has an id of its own"
    recorded = [message.seq for message in messages if message.seq is not None and message.role != "tool"]
    assert len(recorded) == len(set(recorded)), "no message comes twice"


def _check_content(message: ModelMessage) -> None:
    assert all(isinstance(part, _ALLOWED[message.role]) for part in message.parts)
    said = text_of(message.parts).strip()
    assert said or any(isinstance(part, FilePart | ToolCallPart) for part in message.parts), "no message is empty"
    assert all(part.text for part in message.parts if isinstance(part, TextPart))


def _answered(message: ModelMessage) -> tuple[str, str]:
    assert message.role == "tool"
    (part,) = message.parts
    assert isinstance(part, ToolResultPart)
    return part.tool_call_id, part.name


_texts = st.builds(TextPart, st.sampled_from(["", " ", "\n", "Hello", "More of it", "word " * 30]))
_ids = st.sampled_from(["", "a", "b", "c", "a_2", "x" * 40])
_names = st.sampled_from(["calculator", "search", "server/tool"])
_parts = st.one_of(
    _texts,
    st.just(FilePart("file", "a.png", "image/png", 9)),
    st.builds(ReasoningPart, st.sampled_from(["", "Hm."]), st.sampled_from([None, {"provider": "anthropic"}])),
    st.builds(ToolCallPart, _ids, _names, st.just({}), st.sampled_from([None, "{"])),
    st.builds(ToolResultPart, _ids, _names, st.sampled_from(["4", {"a": 1}, None]), st.booleans()),
)
_roles: st.SearchStrategy[MessageRole] = st.sampled_from(["user", "assistant", "assistant", "tool", "tool"])


@st.composite
def messages_of_any_kind(draw: st.DrawFn) -> list[ModelMessage]:
    """Anything that the types allow: no order, no rule, some messages twice."""
    drawn = draw(st.lists(st.tuples(_roles, st.lists(_parts, max_size=4), st.integers(0, 2)), max_size=14))
    seq = 0
    messages = []
    for role, parts, step in drawn:
        seq += step
        messages.append(ModelMessage(role, tuple(parts), seq))
    return messages
