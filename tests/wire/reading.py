"""Reads the bytes of a response with a parser, whole and in small pieces, which has to be the same."""

import re

from ai_agents.core.exceptions import ProviderError
from ai_agents.core.types import ModelRequest, ModelResponse, PartDelta
from ai_agents.providers.assembly import Assembly
from ai_agents.providers.quirks import Endpoint, Quirks
from tests.wire.requests import FORMATS, provider_of

Read = ModelResponse | ProviderError
# Ids of calls are made here, each time a new one.
_MADE_ID = re.compile(r"call_[0-9a-f]{32}")


def read(wire: str, request: ModelRequest, data: bytes, quirks: Quirks | None = None) -> Read:
    """The response that these bytes are, or the error that they end with."""
    pieces = [data[start : start + 7] for start in range(0, len(data), 7)]
    whole, split = (_read(wire, request, chunks, quirks or Quirks()) for chunks in ([data], pieces))
    assert _seen(whole) == _seen(split)
    return whole


def read_response(wire: str, request: ModelRequest, data: bytes, quirks: Quirks | None = None) -> ModelResponse:
    """The response that these bytes are. Raises the error that they end with."""
    found = read(wire, request, data, quirks)
    if isinstance(found, ProviderError):
        raise found
    return found


def _read(wire: str, request: ModelRequest, chunks: list[bytes], quirks: Quirks) -> Read:
    parser = FORMATS[wire].parser(request, Endpoint(provider_of(wire), quirks))
    for chunk in chunks:
        if (error := parser.feed(chunk)) is not None:
            return error
        if parser.done:
            break
    if not parser.done and (error := parser.finish()) is not None:
        return error
    assembly, deltas = Assembly(), ""
    for event in parser.writer.events:
        assembly.feed(event)
        deltas += event.text if isinstance(event, PartDelta) and event.kind == "text" else ""
    response = assembly.response()
    assert deltas == response.text
    return response


def _seen(found: Read) -> tuple[str, str]:
    return type(found).__name__, _MADE_ID.sub("an id", str(found))
