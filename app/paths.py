"""Paths of requests as logs and traces show them. Anything may stand in one: a stranger's text, or a key by mistake."""

import re

from starlette.types import Scope

from ai_agents.providers.errors import mask_keys

_MAX_PATH = 512
# A key may lie across the place where a path is cut.
_MAX_SEARCHED = 2 * _MAX_PATH
_ID = re.compile(r"(?:[a-z]{2,8}_)?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")
_PLACE = re.compile(r"{(\w+)(?::\w+)?}")


def logged_path(scope: Scope) -> str:
    """The path in bounds and, unless it has nothing but ids in its places, without what looks like a key."""
    path: str = scope["path"]
    if _route_of(scope) is not None and len(ids_of(scope)) == len(scope.get("path_params") or ()):
        return path
    return mask_keys(path[:_MAX_SEARCHED])[:_MAX_PATH]


def traced_path(scope: Scope) -> str | None:
    """The path with the ids in its places. What is no id, such as a user's name, stays the name of its place.

    None where there is no such route: what was asked for is the client's own text.
    """
    route = _route_of(scope)
    if route is None:
        return None
    ids = ids_of(scope)
    return _PLACE.sub(lambda place: ids.get(place[1]) or f"{{{place[1]}}}", route)


def ids_of(scope: Scope) -> dict[str, str]:
    """What the path names by its id, by the names of its places."""
    return {name: str(value) for name, value in (scope.get("path_params") or {}).items() if _ID.fullmatch(str(value))}


def _route_of(scope: Scope) -> str | None:
    return getattr(scope.get("route"), "path", None)
