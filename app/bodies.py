"""JSON bodies: strict, and read by a dependency.

FastAPI reads a declared body before any dependency runs, but the contract checks the key and the thing of the path
first. `Annotated[CreateThread, json_body(CreateThread)]` after those dependencies reads the body after them.
"""

import json
import re
from typing import Any, TypeVar

import orjson
from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from ai_agents.core.types import JsonObject
from ai_agents.store import idempotency
from app.errors import InvalidFields, PayloadTooLarge, UnsupportedMediaType
from app.problems import validation_errors
from app.settings import Settings

Model = TypeVar("Model", bound=BaseModel)
MEDIA_TYPE = "application/json"
_PARSED = "parsed_body"
# Matches bodies that may hold what orjson accepts and the contract does not: a NUL, an integer beyond 64 bits. Rare.
_SUSPICIOUS = re.compile(rb"\\u0000|[0-9]{19}")
_SORTED = orjson.OPT_SORT_KEYS
_MAX_INTEGER = 2**63 - 1
_MIN_INTEGER = -(2**63)


class JsonBody:
    """A dependency that gives the request's body as this model."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model

    async def __call__(self, request: Request) -> BaseModel:
        return await read_model(request, self.model)


def json_body(model: type[BaseModel]) -> Any:
    """The body as this model: `Annotated[CreateThread, json_body(CreateThread)]`."""
    return Depends(JsonBody(model))


def parsed_body(request: Request) -> JsonObject:
    """The JSON of the body as it was sent. The body must have been read as a model before."""
    parsed: JsonObject = request.scope[_PARSED]
    return parsed


def fingerprint(request: Request, *, without: str | None = None) -> str:
    """A hash of method, path and body for idempotency keys. The order of the body's fields does not matter.

    `without` names a field that does not count.
    """
    sent = {name: value for name, value in parsed_body(request).items() if name != without}
    return idempotency.fingerprint(request.method, request.scope["path"], orjson.dumps(sent, option=_SORTED))


async def read_model(request: Request, model: type[Model]) -> Model:
    """The body as this model.

    Raises `UnsupportedMediaType`, `PayloadTooLarge`, and `InvalidFields` for any other mistake in it.
    """
    settings: Settings = request.app.state.settings
    _check_media_type(request)
    raw = await _read_bytes(request, limit=settings.max_body_bytes)
    value = parse_json(raw, max_depth=settings.max_json_depth)
    try:
        found = model.model_validate(value, context=settings)
        request.scope[_PARSED] = value
        return found
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise InvalidFields(validation_errors(details, at=("body",))) from None


def parse_json(raw: bytes, *, max_depth: int) -> Any:
    """Strict JSON: no NaN, no NUL, no lone surrogate, no integer beyond 64 bits, not nested deeper than `max_depth`.

    Raises `InvalidFields`, which never repeats the value.
    """
    try:
        value = orjson.loads(raw)
        if _SUSPICIOUS.search(raw):
            # The slow parser: orjson reads an integer that is too long as a float.
            json.loads(raw, parse_int=_integer)
            _refuse_nul(value)
    except ValueError as error:
        # The message of orjson says what it found and where.
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise _malformed(reason) from None
    except RecursionError:
        raise _too_deep(max_depth) from None
    if raw.count(b"{") + raw.count(b"[") > max_depth and _is_deeper(value, max_depth):
        raise _too_deep(max_depth)
    return value


def _check_media_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        raise UnsupportedMediaType


async def _read_bytes(request: Request, *, limit: int) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise PayloadTooLarge(f"The body is larger than {limit} bytes.")
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > limit:
            raise PayloadTooLarge(f"The body is larger than {limit} bytes.")
    return bytes(raw)


def _integer(digits: str) -> int:
    if len(digits) > 20 or not _MIN_INTEGER <= int(digits) <= _MAX_INTEGER:
        raise ValueError("an integer does not fit in 64 bits")
    return int(digits)


def _refuse_nul(value: Any) -> None:
    for item in _walk(value):
        if isinstance(item, str) and "\0" in item:
            raise ValueError("a text contains a NUL character")


def _walk(value: Any) -> Any:
    """Every value and every key, without recursion."""
    left = [value]
    while left:
        item = left.pop()
        yield item
        if isinstance(item, dict):
            left.extend(item)
            left.extend(item.values())
        elif isinstance(item, list):
            left.extend(item)


def _is_deeper(value: Any, max_depth: int) -> bool:
    level = [value]
    for _ in range(max_depth + 1):
        level = [item for item in level if isinstance(item, dict | list)]
        if not level:
            return False
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return True


def _malformed(reason: str) -> InvalidFields:
    return InvalidFields([_error(f"is not JSON that is read here: {reason}")])


def _too_deep(max_depth: int) -> InvalidFields:
    return InvalidFields([_error(f"is nested deeper than {max_depth} levels")])


def _error(message: str) -> JsonObject:
    return {"loc": ["body"], "msg": message}
