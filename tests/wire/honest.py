"""What the bytes of a stream can honestly mean, read apart from the parsers and in every tolerant way.

A reading may give less than this (an error, or a call whose arguments it shows to the model as unreadable), and
nothing else: a call has the arguments that one call of the bytes has, and an answer is whole only where they say so.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Pairs = set[tuple[str, str]]
_UNREADABLE = re.compile("[\ufffd\0\ud800-\udfff]+")
_GOOD_ENDS = {
    "openai": {"stop", "length", "tool_calls", "function_call", "content_filter", "eos"},
    "anthropic": {
        *("end_turn", "tool_use", "max_tokens", "stop_sequence", "refusal", "pause_turn"),
        "model_context_window_exceeded",
    },
    "gemini": {
        *("stop", "max_tokens", "safety", "recitation", "language", "blocklist", "prohibited_content", "spii"),
        "image_safety",
    },
}
_FIELDS = (b"event:", b"id:", b"retry:", b":")
_REASONS = {"finish_reason", "stop_reason", "finishReason"}
_TERMINAL = ("message_stop", "response.completed", "response.incomplete", "response.failed")
_ENDED_RESPONSES = {"completed", "incomplete"}


@dataclass(frozen=True)
class Piece:
    """A piece of a call: the keys that tell whose it is, the name that it gives, and its arguments, None for none."""

    keys: frozenset[Any]
    name: str | None
    arguments: Any


def values_of(wire: str, data: bytes) -> list[Any]:
    """Each JSON value of the stream, in order, of a chat up to `[DONE]`. What is not JSON is left out."""
    found: list[Any] = []
    for lines in _events(data) if wire != "ollama" else ([line] for line in data.split(b"\n")):
        if wire == "openai" and b"".join(lines).strip() == b"[DONE]":
            break
        parts = b"\n".join(lines).split(b"\n")
        while parts:
            ends = range(len(parts), 0, -1)
            value, end = next(
                ((each, end) for end in ends if (each := _json(b"\n".join(parts[:end]))) is not _NONE), (_NONE, 1)
            )
            found += [] if value is _NONE else [value]
            parts = parts[end:]
    return found


def honest_calls(wire: str, data: bytes) -> Pairs:
    """Each tool call that the bytes may mean: its name, and its arguments in the form that `written` gives."""
    values = [value for value in values_of(wire, data) if isinstance(value, dict)]
    if wire in {"ollama", "gemini"}:
        return {
            (piece.name, each)
            for piece in _whole_calls(values)
            if piece.name
            for each in _objects(_raw(piece.arguments))
        }
    # What comes after the first terminal event may be read or not.
    end = next((at for at, value in enumerate(values) if value.get("type") in _TERMINAL), len(values))
    read = {"openai": _chat_pieces, "anthropic": _anthropic_pieces, "responses": _responses_pieces}[wire]
    return _calls_of(list(read(values))) | _calls_of(list(read(values[: end + 1])))


def says_its_end(wire: str, data: bytes) -> bool:
    """Whether anything in the bytes says that the answer is whole, in a word that the documents have.

    Groq says that the model's call does not fit its tool: that is an answer, too, which is shown to the model.
    """
    for value in values_of(wire, data):
        for key, inner in _fields(value):
            if wire == "openai" and (key, inner) == ("code", "tool_use_failed"):
                return True
            if wire == "ollama":
                if key == "done" and inner is True:
                    return True
            elif wire == "responses":
                if inner == "response.completed" or (key == "status" and str(inner) in _ENDED_RESPONSES):
                    return True
            elif inner == "tool_use_failed" or (key in _REASONS and str(inner).strip().lower() in _GOOD_ENDS[wire]):
                return True
    return False


def honest_text(wire: str, data: bytes) -> str | None:
    """The text of a chat or of Ollama's lines where all has the documented shape; None where something has not."""
    if wire == "openai" and any(line and not line.startswith((b"data:", *_FIELDS)) for line in _lines(data)):
        return None
    text = ""
    for value in values_of(wire, data):
        deltas = [value.get("message")] if wire == "ollama" and isinstance(value, dict) else _deltas(value)
        for delta in deltas:
            for word in ("content", "refusal"):
                said = delta.get(word) if isinstance(delta, dict) else []
                if said is not None and not isinstance(said, str):
                    return None
                text += said or ""
        if wire == "ollama" and isinstance(value, dict) and value.get("done") is True:
            break
    return text


def written(value: Any) -> str:
    """One form for equal JSON values, with what cannot be read as one replacement character."""
    return json.dumps(_all_cleaned(value), sort_keys=True, ensure_ascii=False)


def cleaned(text: str) -> str:
    """The text, with what cannot be read as one replacement character."""
    return _UNREADABLE.sub("\ufffd", text)


def _all_cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {cleaned(key): _all_cleaned(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_all_cleaned(inner) for inner in value]
    return cleaned(value) if isinstance(value, str) else value


_NONE = object()


def _json(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8", "replace").strip(), strict=False)
    except (ValueError, RecursionError):
        return _NONE


def _lines(data: bytes) -> list[bytes]:
    return re.split(b"\r\n|\r|\n", data)


def _events(data: bytes) -> Iterator[list[bytes]]:
    """The lines of data of each event. A line break in a string of JSON is part of the line."""
    found: list[bytes] = []
    for line in [*_lines(data), b""]:
        if line.startswith(b"data:"):
            found.append(line[5:].removeprefix(b" "))
        elif not line and found:
            yield found
            found = []
        elif found and not line.startswith(_FIELDS):
            found[-1] += b"\n" + line
    if found:
        yield found


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    inner = (
        value.items() if isinstance(value, dict) else (("", each) for each in value) if isinstance(value, list) else ()
    )
    for key, each in inner:
        yield key, each
        yield from _fields(each)


def _many(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, or of one object where a list should be."""
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]


def _deltas(value: Any) -> list[Any]:
    """The delta of each choice but the second and later ones; a list where the shape is another one."""
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list):
        return [[]]
    found: list[Any] = []
    for choice in choices:
        if not isinstance(choice, dict) or str(choice.get("index", 0)) not in {"0", "1", "2"}:
            found.append([])
        elif str(choice.get("index", 0)) == "0":
            found.append(choice.get("delta"))
    return found


def _key(kind: str, value: Any) -> list[Any]:
    """A key, where the value can be one: a number may come as text or with a fraction of zero."""
    if isinstance(value, bool) or value is None or value == "" or not isinstance(value, str | int | float):
        return []
    try:
        return [(kind, str(int(value)))]
    except (ValueError, OverflowError):
        return [(kind, str(value))]


def _named(value: Any) -> str | None:
    """A name, of which a number is one, too."""
    return cleaned(str(value)) if isinstance(value, str | int | float) and value != "" else None


def _chat_pieces(values: Iterable[dict[str, Any]]) -> Iterator[Piece]:
    for value in values:
        for choice in _many(value.get("choices")):
            for delta in _many(choice.get("delta")) + _many(choice.get("message")):
                for call in _many(delta.get("tool_calls")):
                    function: dict[str, Any] = {} if not _many(call.get("function")) else _many(call["function"])[0]
                    place = choice["index"] if isinstance(choice.get("index"), int) else 0
                    keys = _key(f"index {int(place)}", call.get("index")) + _key("id", call.get("id"))
                    yield Piece(frozenset(keys), _named(function.get("name")), function.get("arguments"))


def _anthropic_pieces(values: Iterable[dict[str, Any]]) -> Iterator[Piece]:
    for value in values:
        keys = frozenset(_key("index", value.get("index")))
        for block in _many(value.get("content_block")):
            if block.get("type") == "tool_use":
                yield Piece(keys, _named(block.get("name")), block.get("input") or None)
        for delta in _many(value.get("delta")):
            if isinstance(delta.get("partial_json"), str):
                yield Piece(keys, None, delta["partial_json"])


def _responses_pieces(values: Iterable[dict[str, Any]]) -> Iterator[Piece]:
    for value in values:
        keys = _key("output", value.get("output_index")) + _key("id", value.get("item_id"))
        if isinstance(value.get("delta"), str):
            yield Piece(frozenset(keys), None, value["delta"])
        if isinstance(value.get("arguments"), str):
            yield Piece(frozenset(keys), None, value["arguments"])
        items = [(keys, item) for item in _many(value.get("item"))]
        for response in _many(value.get("response")):
            items += [(_key("output", at), item) for at, item in enumerate(_many(response.get("output")))]
        for own, item in items:
            more = _key("id", item.get("id")) + _key("call", item.get("call_id"))
            yield Piece(frozenset(own + more), _named(item.get("name")), item.get("arguments"))


def _whole_calls(values: Iterable[Any]) -> Iterator[Piece]:
    """The calls of Ollama and of Gemini, each in one object."""
    for value in values:
        for key, inner in _fields(value):
            for call in _many(inner) if key in {"function", "functionCall"} else ():
                yield Piece(frozenset(), _named(call.get("name")), call.get("arguments", call.get("args")))


def _calls_of(pieces: list[Piece]) -> Pairs:
    keys = {key for piece in pieces for key in piece.keys}
    groups = [[piece for piece in pieces if key in piece.keys] for key in keys]
    if _is_one_call(pieces):
        groups.append(pieces)
    if not any(piece.keys for piece in pieces if piece.name is None):
        groups += _one_after_another(pieces)
    found: Pairs = set()
    for group in groups:
        names = {piece.name for piece in group if piece.name}
        found |= {(name, each) for name in names for each in _arguments_of(group)}
    return found


def _is_one_call(pieces: list[Piece]) -> bool:
    """Whether all keys are of one call, so that a piece without a key can only be its."""
    calls: list[set[Any]] = []
    for piece in pieces:
        same = [call for call in calls if call & piece.keys]
        calls = [call for call in calls if not call & piece.keys]
        if piece.keys:
            calls.append(set(piece.keys).union(*same))
    return len(calls) <= 1


def _one_after_another(pieces: list[Piece]) -> list[list[Piece]]:
    """The pieces of each call where a name begins one, as a server sends them that says of no piece whose it is."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        if piece.name or not groups:
            groups.append([])
        groups[-1].append(piece)
    return groups


def _raw(arguments: Any) -> str:
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else json.dumps(arguments)


def _arguments_of(group: list[Piece]) -> set[str]:
    """What any run of the pieces of one call says, and no arguments where a name has none after it."""
    raws = [_raw(piece.arguments) for piece in group]
    found: set[str] = set()
    for start in range(len(raws)):
        for end in range(start + 1, len(raws) + 1):
            found |= _objects("".join(raws[start:end])) if any(raws[start:end]) else set()
    for at, piece in enumerate(group):
        after = next((n for n in range(at + 1, len(group)) if group[n].name), len(group))
        if piece.name and not "".join(raws[at:after]).strip():
            found.add("{}")
    return found


def _objects(raw: str) -> set[str]:
    """The object that a text means: itself, after `{}`, twice, encoded as a string, or none at all."""
    if raw.strip() in {"", "null"}:
        return {"{}"}
    decoder = json.JSONDecoder(strict=False)
    found, rest = [], raw.strip()
    while rest:
        try:
            value, end = decoder.raw_decode(rest)
        except (ValueError, RecursionError):
            return set()
        found.append(value)
        rest = rest[end:].strip()
    if len(found) == 1 and isinstance(found[0], str):
        return _objects(found[0])
    objects = {written(value) for value in found if isinstance(value, dict)}
    if not all(isinstance(value, dict) for value in found) or len(objects - {"{}"}) > 1:
        return set()
    return (objects - {"{}"}) or objects
