"""What may go wrong with the frames of a stream: lost, doubled, in another order, retyped, cut, flipped, late."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

import orjson

Frames = list[bytes]
# Values of all types, and such as servers really send where a document has another type.
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 19.0, 10**30, "", "100", "null", "x", " "),
    *([], {}, [None], [[]], [{}], {"a": []}, [{"text": "x"}], {"type": "x"}),
)
# What servers and proxies send to keep a connection open.
_HEARTBEATS = (b": ping\n\n", b"\n", b"event: ping\n\n", b"data: \n\n", b"data: {}\n\n", b"data:\n\n", b"\r\n")
_ODD_BYTES = (b"\xc3", b"\xff\xfe", b"\x00", b"\t", b"\r", b"\\ud83d", b"NaN", b"{", b'"', b"}", b"\xed\xa0\x80")


def mutated(frames: Frames, random: Random) -> bytes:
    """The bytes of these frames after one to three mutations."""
    changed = list(frames)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if changed:
            random.choice(_MUTATIONS)(changed, random)
    return b"".join(changed)


def pieces_of(data: bytes, random: Random) -> list[bytes]:
    """The bytes in pieces, as a network could split them."""
    size = random.choice((1, 7, 50, 1000, len(data) + 1))
    return [data[start : start + size] for start in range(0, len(data), size)]


def _drop(frames: Frames, random: Random) -> None:
    del frames[random.randrange(len(frames))]


def _drop_some(frames: Frames, random: Random) -> None:
    start = random.randrange(len(frames))
    del frames[start : start + random.randint(1, 6)]


def _double(frames: Frames, random: Random) -> None:
    at = random.randrange(len(frames))
    frames.insert(at, frames[at])


def _repeat_elsewhere(frames: Frames, random: Random) -> None:
    frames.insert(random.randrange(len(frames) + 1), random.choice(frames))


def _swap(frames: Frames, random: Random) -> None:
    one, other = random.randrange(len(frames)), random.randrange(len(frames))
    frames[one], frames[other] = frames[other], frames[one]


def _cut(frames: Frames, random: Random) -> None:
    at = random.randrange(len(frames))
    frames[at:] = [frames[at][: random.randrange(len(frames[at]) + 1)]]


def _lose_bytes(frames: Frames, random: Random) -> None:
    at = random.randrange(len(frames))
    frame = frames[at]
    start = random.randrange(len(frame) + 1)
    frames[at] = frame[:start] + frame[start + random.randint(1, 20) :]


def _flip(frames: Frames, random: Random) -> None:
    at = random.randrange(len(frames))
    frame = bytearray(frames[at])
    if frame:
        frame[random.randrange(len(frame))] ^= 1 << random.randrange(8)
    frames[at] = bytes(frame)


def _put_odd_bytes(frames: Frames, random: Random) -> None:
    at = random.randrange(len(frames))
    place = random.randrange(len(frames[at]) + 1)
    frames[at] = frames[at][:place] + random.choice(_ODD_BYTES) + frames[at][place:]


def _put_heartbeat(frames: Frames, random: Random) -> None:
    frames.insert(random.randrange(len(frames) + 1), random.choice(_HEARTBEATS))


def _retype(frames: Frames, random: Random) -> None:
    """Give one field of one frame another value, or drop it, or give it another name."""
    at = random.randrange(len(frames))
    head, brace, rest = frames[at].partition(b"{")
    text, _, tail = rest.rpartition(b"}")
    try:
        value = orjson.loads(brace + text + b"}")
    except ValueError:
        return
    owner, key = random.choice(_fields_of(value))
    match random.randrange(8):
        case 0:
            del owner[key]
        case 1 if isinstance(owner, dict):
            owner[f"{key}_"] = owner.pop(key)
        case 2:
            owner[key] = [owner[key]]
        case 3:
            owner[key] = json.dumps(owner[key])
        case _:
            owner[key] = random.choice(_VALUES)
    frames[at] = head + json.dumps(value).encode() + tail


def _fields_of(value: Any) -> list[tuple[Any, Any]]:
    """Each field and each item, with the object or list that it is in."""
    found: list[tuple[Any, Any]] = []
    stack = [value]
    while stack:
        owner = stack.pop()
        keys = list(owner) if isinstance(owner, dict) else range(len(owner)) if isinstance(owner, list) else ()
        for key in keys:
            found.append((owner, key))
            stack.append(owner[key])
    return found or [({"": 0}, "")]


_MUTATIONS: tuple[Callable[[Frames, Random], None], ...] = (
    *(_drop, _drop_some, _double, _repeat_elsewhere, _swap, _cut, _lose_bytes, _flip),
    *(_put_odd_bytes, _put_heartbeat, _retype, _retype, _retype, _retype),
)
