"""The OpenAPI document: how routes describe what they take and answer, and what FastAPI cannot know of them.

The service reads bodies and makes problems and streams itself, so that FastAPI does not know their models.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ai_agents.core.problems import STATUSES
from app import uploads
from app.dependencies import JsonBody
from app.examples import add_examples
from app.problems import MEDIA_TYPE
from app.responses import JSON
from app.schemas.answers.problems import ProblemRead
from app.schemas.common import FilePartIn, TextPartIn
from app.schemas.events import FeedEvent, StreamEvent
from app.schemas.threads import CreateMessage, RetryRun

Responses = dict[int | str, dict[str, Any]]
REF = "#/components/schemas/{model}"
# The codes of the problems that a route has because of what it takes.
# Every route but those of agents and threads is forbidden to tokens that name agents.
USER = ("invalid_request", "unauthorized", "forbidden", "rate_limited", "database_unavailable", "overloaded")
BODY = ("invalid_request", "unsupported_media_type")
PAGE = ("invalid_request", "invalid_cursor")
ONCE = ("invalid_idempotency_key", "idempotency_key_reused")
_EVERY_ROUTE = ("invalid_host", "request_timeout", "payload_too_large", "overloaded", "internal")
# What a stream answers, as the `content` of its response.
EVENTS: dict[str, Any] = {
    "text/event-stream": {
        "schema": {
            "type": "string",
            "description": "Server-sent events; the data of each is an `Event`.",
            "contentMediaType": "text/event-stream",
            "contentSchema": {"$ref": REF.format(model="Event")},
        }
    }
}
FEED: dict[str, Any] = {
    "text/event-stream": {
        "schema": {
            "type": "string",
            "description": "Server-sent events; the data of each is a `Hint`.",
            "contentMediaType": "text/event-stream",
            "contentSchema": {"$ref": REF.format(model="Hint")},
        }
    }
}
# Of ids and names in paths. What is longer is nothing: 404.
_MAX_NAME = 255
_HEADERS = {
    "Location": "Where it is.",
    "ETag": "Its version, for If-Match.",
    "Preference-Applied": "`respond-async`",
    "Content-Disposition": "`attachment`, and its name.",
}
UPLOAD = {
    "type": "object",
    "properties": {uploads.FIELD: {"type": "string", "format": "binary"}},
    "required": [uploads.FIELD],
    "additionalProperties": False,
}


def headers(*names: str) -> dict[str, Any]:
    """A response with these headers."""
    return {"headers": {name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in names}}


@dataclass(frozen=True, slots=True)
class ErrorForm:
    """How errors are told of: `answer` is the response of one, as FastAPI takes it (`content`, or `model` for JSON)."""

    answer: Mapping[str, Any]
    status_of: Callable[[str], int] = STATUSES.__getitem__


PROBLEMS = ErrorForm({"content": {MEDIA_TYPE: {"schema": {"$ref": REF.format(model="Problem")}}}})


def failures(*codes: str, form: ErrorForm = PROBLEMS) -> Responses:
    """The responses for problems with these codes, and with the codes that every route has, in this form."""
    by_status: defaultdict[int, dict[str, None]] = defaultdict(dict)
    for code in (*codes, *_EVERY_ROUTE):
        by_status[form.status_of(code)][code] = None
    return {
        status: {"description": "Problem: " + ", ".join(f"`{code}`" for code in found), **form.answer}
        for status, found in sorted(by_status.items())
    }


def request_body(media_type: str, schema: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads its body in its function, not in a dependency."""
    return {"requestBody": {"required": required, "content": {media_type: {"schema": schema}}}}


# Models that neither a route nor a dependency names to FastAPI.
_MORE_MODELS: tuple[type[BaseModel], ...] = (
    CreateMessage,
    FeedEvent,
    FilePartIn,
    ProblemRead,
    RetryRun,
    StreamEvent,
    TextPartIn,
)
DESCRIPTION = """Agents on any model provider, in threads that remember, with answers that stream.

Every request except to `/livez`, `/readyz` and the pages carries `Authorization: Bearer <API key, token or JWT>`. Every
error is a problem (RFC 9457) whose `code` is a stable word. What a user may not see answers like what does not exist.

To begin with, `POST /agents`, `POST /threads` with the agent's id, and `POST /threads/{thread_id}/messages`. Without a
provider's key the agent is answered for by `echo`, which repeats what it is told."""
TAGS = {
    "agents": "A model, its instructions, its tools and its memory.",
    "threads": "Conversations with an agent.",
    "messages": "What is said in a thread. Sending a message runs the agent.",
    "files": "What is sent along with messages.",
    "runs": "How messages are answered.",
    "events": "What happens in a thread, as it happens.",
    "roles": "Who may do what on an agent or a thread, and who may name a provider.",
    "keys": "API keys, and the user that a key identifies.",
    "users": "What users may use. For admins.",
    "usage": "What models were used for, and what that cost.",
    "webhooks": "Addresses that are told of what happens.",
    "jobs": "What is done in the background: titles, summaries, erasing a user. For admins.",
    "providers": "The servers of models that agents may name. Admins make more of them.",
    "feedback": "What people think of answers.",
    "audit": "Who did what to which resource. For admins.",
    "catalogue": "The tools that agents may name.",
    "credentials": "Headers of your own for tools that are called with each user's.",
    "health": "The state of the service.",
    "ag-ui": "For clients of AG-UI, such as CopilotKit: an agent is an agent.",
    "ai-sdk": "For pages with `useChat` of the AI SDK.",
    "mcp": "For clients of the Model Context Protocol: an agent is a tool.",
    "openai": "For clients of OpenAI's API: an agent is a model.",
}


def describe(app: FastAPI, routes: Iterable[APIRoute]) -> None:
    """Let the application answer with this document. It is built once, when it is first asked for."""
    generate = app.openapi
    bodies = {
        route.name: dependency.call.model
        for route in routes
        for dependency in route.dependant.dependencies
        if isinstance(dependency.call, JsonBody)
    }

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(generate(), bodies)
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _complete(document: dict[str, Any], bodies: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """The document with the bodies of these operations."""
    for path in document["paths"].values():
        for method, operation in path.items():
            if method != "get":
                # Of the problems of every route only this one; the route names the others.
                status = STATUSES["storage_full"]
                content = operation["responses"]["500"]["content"]  # in the form of the route's other errors
                operation["responses"][str(status)] = {"description": "Problem: `storage_full`", "content": content}
            _correct(operation)
            operation["summary"] = _first_sentence(operation["description"])
            if operation["operationId"] in bodies:
                schema = {"$ref": REF.format(model=bodies[operation["operationId"]].__name__)}
                operation.update(request_body(JSON, schema))
    schemas: dict[str, Any] = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for schema in schemas.values():
        _restore_defaults(schema)
    more = (*bodies.values(), *_MORE_MODELS)
    schemas |= models_json_schema([(model, "validation") for model in more], ref_template=REF)[1]["$defs"]
    schemas["ProblemRead"]["properties"]["code"]["enum"] = list(STATUSES)
    named = _named_by_title(document, dict(sorted(schemas.items())))
    add_examples(named)
    return named


def _first_sentence(text: str) -> str:
    """What a list of operations shows of one."""
    return re.split(r"\.(?:\s|$)|:?\n", text, maxsplit=1)[0].replace("`", "")


def _correct(operation: dict[str, Any]) -> None:
    """Undo what FastAPI assumes: a 422 of its own form, and parameters that can be null or of any length."""
    if "HTTPValidationError" in str(operation["responses"].get("422")):
        del operation["responses"]["422"]
    operation["responses"] = dict(sorted(operation["responses"].items()))
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        if parameter["in"] == "path":
            schema.setdefault("maxLength", _MAX_NAME)
        kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
        if len(kinds) == 1:
            del schema["anyOf"]
            schema.update(kinds[0])


def _restore_defaults(schema: dict[str, Any]) -> None:
    """FastAPI leaves out defaults that are null. A property that is not required has a default."""
    for name, member in schema.get("properties", {}).items():
        if name not in schema.get("required", ()):
            member.setdefault("default", None)


def _named_by_title(document: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The document with these schemas, each under its title. Classes have longer names, `Problem` is `ProblemRead`."""
    document["components"]["schemas"] = {schema.get("title", name): schema for name, schema in schemas.items()}
    text = orjson.dumps(document)
    for name, schema in schemas.items():
        old, new = REF.format(model=name), REF.format(model=schema.get("title", name))
        text = text.replace(f'"{old}"'.encode(), f'"{new}"'.encode())
    named: dict[str, Any] = orjson.loads(text)
    return named
