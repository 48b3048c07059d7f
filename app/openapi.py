"""The OpenAPI document: what FastAPI says of the routes, and the models of bodies, events and problems.

The service reads bodies and makes problems and streams itself, so that FastAPI does not know their models.
"""

from typing import Any, Literal

import orjson
from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.described import REF
from app.problems import STATUSES
from app.schemas.access import CreateKey, CreateRole, CreateTicket
from app.schemas.agents import CreateAgent, UpdateAgent
from app.schemas.answers import ProblemRead
from app.schemas.common import FilePartIn, TextPartIn
from app.schemas.events import StreamEvent
from app.schemas.threads import Approval, CreateMessage, CreateThread, ForkThread, UpdateThread
from app.schemas.tools import ApproveTools, CreateTool

# The models that no route declares to FastAPI.
MODELS: tuple[type[BaseModel], ...] = (
    Approval,
    ApproveTools,
    CreateAgent,
    CreateKey,
    CreateMessage,
    CreateRole,
    CreateThread,
    CreateTicket,
    CreateTool,
    FilePartIn,
    ForkThread,
    ProblemRead,
    StreamEvent,
    TextPartIn,
    UpdateAgent,
    UpdateThread,
)
DESCRIPTION = """Agents on any model provider, in threads that remember, with answers that stream.

Every request except to `/livez`, `/readyz` and the pages carries `Authorization: Bearer <API key>`. Every error is a
problem (RFC 9457) whose `code` is a stable word. What a user may not see answers like what does not exist."""
TAGS = {
    "agents": "A model, its instructions, its tools and its memory.",
    "threads": "Conversations with an agent.",
    "messages": "What is said in a thread. Sending a message runs the agent.",
    "files": "What is sent along with messages.",
    "runs": "How messages are answered.",
    "events": "What happens in a thread, as it happens.",
    "roles": "Who may do what on an agent or a thread.",
    "keys": "API keys, and the user that a key identifies.",
    "usage": "What models were used for, and what that cost.",
    "jobs": "What is done in the background: titles, summaries, erasing a user. For admins.",
    "catalogue": "The providers and tools that agents may name.",
    "health": "The state of the service.",
}


def describe(app: FastAPI) -> None:
    """Let the application answer with this document. It is built once, when it is first asked for."""
    generate = app.openapi

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(generate())
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    for path in document["paths"].values():
        for operation in path.values():
            _correct(operation)
    schemas: dict[str, Any] = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for schema in schemas.values():
        _restore_defaults(schema)
    return _named_by_title(document, dict(sorted({**schemas, **_schemas()}.items())))


def _correct(operation: dict[str, Any]) -> None:
    """Undo what FastAPI assumes: a 422 of its own form, and parameters that can be null."""
    if "HTTPValidationError" in str(operation["responses"].get("422")):
        del operation["responses"]["422"]
    operation["responses"] = dict(sorted(operation["responses"].items()))
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
        if len(kinds) == 1:
            del schema["anyOf"]
            schema.update(kinds[0])


def _restore_defaults(schema: dict[str, Any]) -> None:
    """FastAPI leaves out defaults that are null. A property that is not required has a default."""
    for name, member in schema.get("properties", {}).items():
        if name not in schema.get("required", ()):
            member.setdefault("default", None)


def _schemas() -> dict[str, Any]:
    """The schemas of `MODELS`, and of the models in them."""
    models: list[tuple[type[BaseModel], Literal["validation"]]] = [(model, "validation") for model in MODELS]
    schemas: dict[str, Any] = models_json_schema(models, ref_template=REF)[1]["$defs"]
    schemas["ProblemRead"]["properties"]["code"]["enum"] = list(STATUSES)
    return schemas


def _named_by_title(document: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The document with these schemas, each under its title. Classes have longer names, `Problem` is `ProblemRead`."""
    document["components"]["schemas"] = {schema.get("title", name): schema for name, schema in schemas.items()}
    text = orjson.dumps(document)
    for name, schema in schemas.items():
        old, new = REF.format(model=name), REF.format(model=schema.get("title", name))
        text = text.replace(f'"{old}"'.encode(), f'"{new}"'.encode())
    named: dict[str, Any] = orjson.loads(text)
    return named
