"""Whatever JSON value stands at whatever place of an answer: reading it gives events, or one error of the provider."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.core.exceptions import ProviderError
from ai_agents.core.json import dumps
from ai_agents.core.parts import part_to_stored
from ai_agents.core.types import PartEnd, ResponseEnd
from ai_agents.providers.errors import error_from_response, error_from_wire
from ai_agents.providers.quirks import Endpoint
from tests.fakes.answers import Answer, Call, Reasoning, Text
from tests.fakes.frames import frames
from tests.support.examples import examples
from tests.wire.requests import CALCULATOR, FORMATS, MODELS, ask, provider_of

ANSWER = Answer([Reasoning(["Hm"]), Text(["One", " two"]), Call("calculator", {"expression": "6*7"})])
# The names of fields in any answer, so that objects in odd places look like something.
NAMES = st.sampled_from(
    [
        *("type", "index", "id", "name", "arguments", "function", "content", "text", "delta", "message", "choices"),
        *("usage", "error", "code", "status", "finish_reason", "tool_calls", "reasoning", "item", "output", "response"),
        *("model", "input_tokens", "prompt_tokens", "parts", "candidates", "done", "data"),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["stop", "error", "length", "{}", '{"a":', "\ud83d", "0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each value in a JSON value, itself included."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The JSON value with `new` at this path."""
    if not path:
        return new
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = put(value[path[0]], path[1:], new)
    return changed


@pytest.mark.parametrize("wire", list(FORMATS))
@given(data=st.data())
@examples(400)
def test_any_value_at_any_place_is_read_or_is_one_error(wire: str, data: st.DataObject) -> None:
    pieces = [piece for piece in frames(wire, ANSWER, MODELS[wire]) if isinstance(piece, bytes)]
    heads = [piece.partition(b"{")[0] for piece in pieces]
    bodies = [
        json.loads(piece[len(head) :]) if len(head) < len(piece) else None
        for piece, head in zip(pieces, heads, strict=True)
    ]
    for _ in range(data.draw(st.integers(1, 3))):
        number = data.draw(st.integers(0, len(bodies) - 1))
        path = data.draw(st.sampled_from(list(places(bodies[number]))))
        bodies[number] = put(bodies[number], path, data.draw(VALUES))
    end = "\n" if wire == "ollama" else "\n\n"
    changed = [
        piece if body is None else head + f"{json.dumps(body)}{end}".encode()
        for piece, head, body in zip(pieces, heads, bodies, strict=True)
    ]
    parser = FORMATS[wire].parser(ask(wire, tools=(CALCULATOR,)), Endpoint(provider_of(wire)))

    error = parser.feed(b"".join(changed)) or (None if parser.done else parser.finish())

    assert error is None or isinstance(error, ProviderError)
    for event in parser.writer.events:
        if isinstance(event, ResponseEnd):
            assert error is None
            counts = [each for each in dataclasses.astuple(event.usage) if each is not None]
            assert all(isinstance(each, int) for each in counts)
        if isinstance(event, PartEnd):
            dumps(part_to_stored(event.part))


@given(VALUES, st.integers(300, 599))
@examples(400)
def test_any_value_as_an_error_is_an_error(value: Any, status: int) -> None:
    for error in (
        error_from_wire("openai", value),
        error_from_response("openai", status, {}, json.dumps(value).encode()),
    ):
        assert isinstance(error, ProviderError)
        assert error.upstream is not None
        error.upstream["message"].encode()
