"""The stream of a response: what a door's stream asks of its translator."""

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.streams.cursor import Frame
from app.doors.responses.reading import StoredResponse
from app.doors.responses.translator import HANDLED, ResponseFrames

_VOID = (
    "The text after number {0} was begun anew. Ask with starting_after={0}, or without it, and drop what came after it."
)
_BEYOND = "The response has no frame with this number."


class ResponseStream:
    """A `Translator`. `is_part`: the run went on before the first event."""

    def __init__(self, frames: ResponseFrames, *, is_part: bool) -> None:
        self._frames = frames
        self._is_part = is_part

    @property
    def ended(self) -> bool:
        """Whether the last frame was sent."""
        return self._frames.ended

    def begin(self) -> bytes:
        """The first frames of a response without an event of its own for them."""
        return "".join(self._frames.begin()).encode() if self._is_part else b""

    def take(self, frame: Frame) -> bytes:
        """The frames that follow from an event."""
        if frame.type not in HANDLED:
            return b""
        return "".join(self._frames.take(frame.type, json.loads(frame.data))).encode()

    def end(self) -> bytes:
        """Nothing: a stream that is cut has no last frame, so that its client comes back."""
        return b""


def frames_after(found: StoredResponse, number: int) -> ResponseFrames:
    """The frames of a response after this number, with the state before its first event.

    Raises `InvalidRequest` where it is not known what the number means: it is not one of this response, or perhaps one
    of a text that is void.
    """
    so_far = found.fold()
    place = ("starting_after",)
    if so_far.first_void is not None and number >= so_far.first_void:
        raise InvalidRequest(_VOID.format(so_far.first_void - 1), loc=place)
    if so_far.ended and number >= so_far.next_number:
        raise InvalidRequest(_BEYOND, loc=place)
    return found.frames(after=number, known=so_far.next_number)
