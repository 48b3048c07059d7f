"""JSON bodies, read by a dependency of our own.

FastAPI reads a declared body before any dependency runs, and the contract wants authentication and visibility first:
`Annotated[CreateThread, json_body(CreateThread)]`, placed after those dependencies, reads it when its turn has come.
"""

import json
import re
from collections.abc import Callable
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
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
MEDIA_TYPE = "application/json"
# By this attribute of a route's function, or of a dependency of it, the OpenAPI document finds the body's model.
BODY_MODEL = "__body_model__"
_PARSED = "parsed_body"
# What can hide something that orjson lets pass: an escaped NUL, an integer too long for 64 bits. Rarely true.
_SUSPICIOUS = re.compile(rb"\\u0000|[0-9]{19}")
_SORTED = orjson.OPT_SORT_KEYS
_MAX_INTEGER = 2**63 - 1
_MIN_INTEGER = -(2**63)


def json_body(model: type[BaseModel]) -> Any:
    """A dependency that gives the request's body as this model. The OpenAPI document finds the model through it."""

    async def read(request: Request) -> BaseModel:
        return await read_model(request, model)

    setattr(read, BODY_MODEL, model)
    return Depends(read)


def documents_body(model: type[BaseModel]) -> Callable[[Endpoint], Endpoint]:
    """Marks a route that calls `read_model` itself."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, BODY_MODEL, model)
        return endpoint

    return mark


def parsed_body(request: Request) -> JsonObject:
    """The body's JSON as it was sent, once it has been read as a model."""
    parsed: JsonObject = request.scope[_PARSED]
    return parsed


def fingerprint(request: Request, *, without: str | None = None) -> str:
    """What tells this request from others: its method, path and body, the body's fields in any order.

    `without` names a field that says nothing of what is to be done.
    """
    sent = {name: value for name, value in parsed_body(request).items() if name != without}
    return idempotency.fingerprint(request.method, request.scope["path"], orjson.dumps(sent, option=_SORTED))


async def read_model(request: Request, model: type[Model]) -> Model:
    """The body as this model.

    Raises `UnsupportedMediaType`, `PayloadTooLarge`, and `InvalidFields` for everything else that is wrong with it.
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

    Raises `InvalidFields`, which says what is wrong without repeating it.
    """
    try:
        value = orjson.loads(raw)
        if _SUSPICIOUS.search(raw):
            # Slow, and so only then: orjson reads an integer that is too long as a float.
            json.loads(raw, parse_int=_integer)
            _refuse_nul(value)
    except ValueError as error:
        # orjson's sentence tells what it met and where, in its own words.
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
