"""The OpenAPI document, from the routes: `python -m app.openapi` writes it to openapi.yaml.

FastAPI tells of paths and parameters. Bodies, answers and problems are told of here, since they are read and made by
code of our own: from the model that a route's body dependency names, and from what its `responses` say.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ai_agents.core.events import TERMINAL_EVENTS, EventType
from app import uploads
from app.bodies import BODY_MODEL
from app.dependencies import authenticated, thread_reader
from app.routers.documented import JSON, READ_MODELS, problems
from app.schemas.common import FilePartIn, Problem, TextPartIn
from app.uploads import TAKES_FILE

_REF = "#/components/schemas/{model}"
_DESCRIPTION = """Agents on any model provider, in threads that remember, with answers that stream.

Every request but those to `/livez`, `/readyz` and the pages carries `Authorization: Bearer <API key>`. Every error is
a problem (RFC 9457) whose `code` is a stable word. What a user may not see answers like what does not exist."""
_TAGS = {
    "agents": "A model, its instructions, its tools and its memory.",
    "threads": "Conversations with an agent.",
    "messages": "What is said in a thread. Sending a message runs the agent.",
    "files": "What is sent along with messages.",
    "runs": "How a message was, or is being, answered.",
    "events": "What happens in a thread, as it happens.",
    "roles": "Who may do what on an agent or a thread.",
    "keys": "API keys, and who one is by them.",
    "usage": "What models were used for, and what that cost.",
    "jobs": "What is done in the background: titles, summaries, erasing a user. For admins.",
    "catalogue": "What agents can be made of.",
    "health": "How the service is.",
}
_UPLOAD: dict[str, Any] = {
    "type": "object",
    "properties": {uploads.FIELD: {"type": "string", "format": "binary"}},
    "required": [uploads.FIELD],
    "additionalProperties": False,
}
_EVENT: dict[str, Any] = {
    "title": "Event",
    "description": "What the `data:` of a server-sent event holds; its `event:` is `type`, its `id:` resumes the "
    "stream (header `Last-Event-ID`). Further members are the event's own.",
    "type": "object",
    "properties": {
        "type": {"type": "string", "enum": list(get_args(EventType))},
        "thread_id": {"type": "string"},
        "run_id": {"type": "string"},
    },
    "required": ["type", "thread_id"],
    "x-terminal": sorted(TERMINAL_EVENTS),
}


def build_document(app: FastAPI) -> dict[str, Any]:
    """The document, made once for an application."""
    if app.openapi_schema is None:
        app.openapi_schema = _build(app)
    return app.openapi_schema


def _build(app: FastAPI) -> dict[str, Any]:
    routes = _routes()
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary="Agents that answer, remember and use tools, on any provider.",
        description=_DESCRIPTION,
        license_info={"name": "MIT", "identifier": "MIT"},
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
        servers=[{"url": "/", "description": "This service"}],
        routes=app.routes,
    )
    for path, method, operation in _operations(document):
        _complete(operation, path, routes[path, method])
    components = document.setdefault("components", {})
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "API key"},
        "ticket": {"type": "apiKey", "in": "query", "name": "ticket", "description": "From `POST /tickets`."},
    }
    components["schemas"] = _schemas(routes.values())
    return document


def _routes() -> dict[tuple[str, str], APIRoute]:
    from app.main import ROUTERS

    found = (route for module in ROUTERS for route in module.router.routes if isinstance(route, APIRoute))
    return {(route.path, method.lower()): route for route in found for method in route.methods or ()}


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _complete(operation: dict[str, Any], path: str, route: APIRoute) -> None:
    """Say what holds for all routes of a kind, and what body this one takes."""
    answers: dict[str, Any] = operation["responses"]
    codes = ["payload_too_large", "internal"]
    calls = set(_calls(route.dependant))
    operation["security"] = [{"bearer": []}] if {authenticated, thread_reader} & calls else []
    if thread_reader in calls:
        operation["security"].append({"ticket": []})
        # A way to authenticate is told as such, not as a parameter.
        operation["parameters"] = [each for each in operation["parameters"] if each["name"] != "ticket"]
    if operation["security"]:
        codes += ["unauthorized", "rate_limited", "database_unavailable"]
    if "{" in path:
        codes.append("not_found")
    parameters = operation.get("parameters", [])
    for parameter in parameters:
        parameter["schema"] = _without_null(parameter["schema"])
    if any(parameter["in"] == "query" for parameter in parameters):
        codes.append("invalid_request")
    names = {parameter["name"].lower() for parameter in parameters}
    if "after" in names:
        codes.append("invalid_cursor")
    if "idempotency-key" in names:
        codes.append("invalid_idempotency_key")
    model = find_body(route)
    if model is not None:
        codes += ["invalid_request", "unsupported_media_type"]
        operation["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": {"$ref": _REF.format(model=model.__name__)}}},
        }
    if hasattr(route.endpoint, TAKES_FILE):
        codes += ["invalid_request", "unsupported_media_type"]
        operation["requestBody"] = {"required": True, "content": {uploads.MEDIA_TYPE: {"schema": _UPLOAD}}}
    _add_problems(answers, codes)
    operation["responses"] = dict(sorted(answers.items()))


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter may be left out; there is no way to send a null."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    return {**{name: value for name, value in schema.items() if name != "anyOf"}, **kinds[0]}


def _add_problems(answers: dict[str, Any], codes: list[str]) -> None:
    """Add these to the problems that the route itself names; FastAPI's own idea of a 422 gives way."""
    if (found := answers.get("422")) and JSON in found.get("content", {}):
        del answers["422"]
    for status, told in problems(*codes).items():
        known = answers.get(str(status))
        if known is None:
            answers[str(status)] = told
            continue
        new = told["description"].removeprefix("Problem: ").split(", ")
        known["description"] = ", ".join([known["description"], *(c for c in new if c not in known["description"])])


def find_body(route: APIRoute) -> type[BaseModel] | None:
    """The model of the route's body; None if it takes none."""
    for call in (route.endpoint, *_calls(route.dependant)):
        model: type[BaseModel] | None = getattr(call, BODY_MODEL, None)
        if model is not None:
            return model
    return None


def _calls(dependant: Dependant) -> Iterator[Any]:
    for dependency in dependant.dependencies:
        yield dependency.call
        yield from _calls(dependency)


def _schemas(routes: Any) -> dict[str, Any]:
    bodies = {model for route in routes if (model := find_body(route)) is not None}
    named: set[type[BaseModel]] = {*bodies, *READ_MODELS, Problem, TextPartIn, FilePartIn}
    models: list[tuple[type[BaseModel], Literal["validation"]]]
    models = [(model, "validation") for model in sorted(named, key=lambda model: model.__name__)]
    _, document = models_json_schema(models, ref_template=_REF)
    return dict(sorted({**document["$defs"], "Event": _EVENT}.items()))


def main() -> None:
    """Write the document."""
    import yaml

    from app.main import create_app

    text = yaml.safe_dump(build_document(create_app()), sort_keys=False, allow_unicode=True, width=120)
    (Path(__file__).resolve().parent.parent / "openapi.yaml").write_text(text)


if __name__ == "__main__":
    main()
