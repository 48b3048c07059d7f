"""Problems as errors of JSON-RPC, in answers to requests that the protocol itself never sees: a wrong key, too much."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from ai_agents.core.exceptions import NotFound
from ai_agents.core.types import JsonObject
from app.openapi import ErrorForm
from app.responses import JsonResponse

_PARSE_ERROR, _INVALID_REQUEST, _INTERNAL_ERROR = -32700, -32600, -32603


class SessionNotFound(NotFound):
    """There is no such session: begin a new one with `initialize`."""


class JsonRpcError(BaseModel):
    """What went wrong; `data` is the problem."""

    model_config = ConfigDict(extra="allow")

    code: int
    message: str


class JsonRpcRefusal(BaseModel):
    """A request that was refused before the protocol saw it."""

    model_config = ConfigDict(extra="forbid")

    jsonrpc: Literal["2.0"]
    id: str | int | None = Field(description="Null: the request was not read.")
    error: JsonRpcError


def refusal(told: JsonObject) -> Response:
    """The answer to a problem."""
    code, status = _INTERNAL_ERROR if told["status"] >= 500 else _INVALID_REQUEST, told["status"]
    if any(each["loc"] == ["body"] for each in told.get("errors", ())):
        code, status = _PARSE_ERROR, 400
    error = {"code": code, "message": told["detail"], "data": told}
    return JsonResponse({"jsonrpc": "2.0", "id": None, "error": error}, status)


FORM = ErrorForm({"model": JsonRpcRefusal})
