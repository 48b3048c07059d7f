"""API keys: users make them for themselves, an admin for any user."""

from ai_agents.core.exceptions import KeyNotFound, PermissionDenied
from ai_agents.core.rows import Key, NewKey, Page
from app.container import Container
from app.schemas.access import CreateKey
from app.services.arguments import PageArguments, check_id
from app.services.identity import Principal


async def create_key(container: Container, user: Principal, body: CreateKey) -> NewKey:
    """A new key with its secret, which is shown only now. Raises `PermissionDenied`."""
    owner = body.user_id or user.user_id
    if not user.is_admin and (owner != user.user_id or body.admin):
        raise PermissionDenied("Only an admin makes keys for others, and admin keys.")
    return await container.keys.create(owner, body.name, expires_at=body.expires_at, admin=body.admin)


async def list_keys(container: Container, user: Principal, page: PageArguments) -> Page[Key]:
    """The user's keys, newest first; an admin sees all. Raises `InvalidCursor`."""
    return await container.keys.list(None if user.is_admin else user.user_id, **page)


async def delete_key(container: Container, user: Principal, key_id: str) -> None:
    """Delete a key of the user's; an admin deletes any. It stops working at once. Raises `KeyNotFound`."""
    check_id(key_id, KeyNotFound)
    await container.keys.delete(key_id, user_id=None if user.is_admin else user.user_id)
