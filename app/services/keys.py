"""API keys: an admin makes them for anybody, others for themselves."""

from ai_agents.core.exceptions import KeyNotFound, PermissionDenied
from ai_agents.core.rows import Key, NewKey, Page
from app.container import Container, Principal
from app.dependencies import PageOf, check_id
from app.schemas.keys import CreateKey


async def create_key(services: Container, user: Principal, body: CreateKey) -> NewKey:
    """A new key with its secret, which nobody sees again. Raises `PermissionDenied`."""
    owner = body.user_id or user.user_id
    if not user.is_admin and (owner != user.user_id or body.admin):
        raise PermissionDenied("Only an admin makes keys for others, and admin keys.")
    return await services.keys.create(owner, body.name, expires_at=body.expires_at, admin=body.admin)


async def list_keys(services: Container, user: Principal, page: PageOf) -> Page[Key]:
    """The user's keys; an admin sees all."""
    return await services.keys.list(None if user.is_admin else user.user_id, **page.arguments())


async def delete_key(services: Container, user: Principal, key_id: str) -> None:
    """Delete a key of the user's, an admin any. It is refused from then on. Raises `KeyNotFound`."""
    check_id(key_id, KeyNotFound)
    await services.keys.delete(key_id, user_id=None if user.is_admin else user.user_id)
