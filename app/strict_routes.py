"""Routes that refuse what they do not know: a misspelt query parameter is a mistake, as an unknown field is."""

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import APIKeyQuery

from app.errors import MAX_ERRORS, InvalidFields
from app.problems import MAX_NAME

# How a parameter begins that names a key of metadata. `metadata.KEY` stands in the document for all of them.
METADATA = "metadata."
_REQUEST = "_request"


class StrictRoute(APIRoute):
    """A route whose query has the parameters that its function and its dependencies take, and no others.

    They are looked at after all that the route asks for, so that what a user may not see stays 404. Routes for health
    checks take what balancers add.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self._known: frozenset[str] = frozenset()
        if "health" not in (options.get("tags") or ()):
            endpoint = self._with_a_last_look(endpoint)
        super().__init__(path, endpoint, **options)
        self._known = frozenset(_query_names(self.dependant))

    def _is_metadata(self, name: str) -> bool:
        return name.startswith(METADATA) and f"{METADATA}KEY" in self._known

    def _with_a_last_look(self, endpoint: Callable[..., Any]) -> Callable[..., Any]:
        """The function, which is called once the query was looked at."""

        signature = inspect.signature(endpoint)
        # FastAPI gives the request to one parameter of a function.
        own = next((each.name for each in signature.parameters.values() if each.annotation is Request), None)

        @wraps(endpoint)
        async def looked_at(**arguments: Any) -> Any:
            self._refuse_unknown(arguments.pop(_REQUEST) if own is None else arguments[own])
            return await endpoint(**arguments)

        if own is None:
            added = inspect.Parameter(_REQUEST, inspect.Parameter.KEYWORD_ONLY, annotation=Request)
            signature = signature.replace(parameters=[*signature.parameters.values(), added])
        looked_at.__signature__ = signature  # type: ignore[attr-defined]  # what `inspect` reads first
        return looked_at

    def _refuse_unknown(self, request: Request) -> None:
        if request.scope["query_string"] and (
            unknown := {name for name in request.query_params.keys() - self._known if not self._is_metadata(name)}
        ):
            refused = sorted(unknown)[:MAX_ERRORS]
            raise InvalidFields([{"loc": ["query", name[:MAX_NAME]], "msg": "is not known here"} for name in refused])


def _query_names(dependant: Dependant) -> Iterator[str]:
    for parameter in dependant.query_params:
        yield parameter.alias
    if isinstance(dependant.call, APIKeyQuery):
        yield dependant.call.model.name
    for each in dependant.dependencies:
        yield from _query_names(each)
