"""What the audit log is told of requests that were refused: of a right that was missing, and of keys that are none."""

from typing import get_args

from fastapi import Request

from ai_agents.core.audit_rows import AuditResource
from ai_agents.core.exceptions import AIAgentsError, PermissionDenied
from ai_agents.core.ids import is_id
from ai_agents.store.audit import Act
from app.authentication import PRINCIPAL
from app.container import Container
from app.errors import Unauthorized
from app.middleware import REQUEST_ID
from app.services.identity import Principal, act_of

# Ids in paths of what a user sees when it is refused (403, else 404). Of other paths, and of what a token is not for,
# only the operation is noted: what stands in them is the client's word.
_SEEN: dict[str, AuditResource] = {
    "agent_id": "agent",
    "thread_id": "thread",
    "file_id": "file",
    "key_id": "key",
    "role_id": "role",
}


def note_refusal(request: Request, error: AIAgentsError) -> None:
    """Count a refusal for the audit log."""
    container: Container = request.app.state.container
    user: Principal | None = request.scope.get(PRINCIPAL)
    if isinstance(error, PermissionDenied) and user is not None:
        container.audit.note(act_of(user, "access", *_resource_of(request, error, user), outcome="denied"))
    elif isinstance(error, Unauthorized):
        container.audit.note(Act("sign_in", None, outcome="denied", request_id=request.scope[REQUEST_ID]))


def _resource_of(request: Request, error: PermissionDenied, user: Principal) -> tuple[AuditResource | None, str | None]:
    if error.resource is not None:
        found, resource_id = error.resource
        return next((kind for kind in get_args(AuditResource) if kind == found), None), resource_id
    for name, kind in _SEEN.items() if user.within is None else ():
        if is_id(request.path_params.get(name, "")):
            return kind, request.path_params[name]
    return None, None
