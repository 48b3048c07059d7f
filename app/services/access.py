"""What gives access: API keys, tokens, tickets and roles."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection

from ai_agents.auth.roles import may_on_agent, may_on_thread, require_on_agent
from ai_agents.core.exceptions import (
    AgentNotFound,
    InvalidRequest,
    KeyNotFound,
    NotFound,
    PermissionDenied,
    ProviderNotFound,
    RoleNotFound,
    ThreadNotFound,
    TokenNotFound,
    ToolNotFound,
)
from ai_agents.core.ids import format_time
from ai_agents.core.key_rows import Key, NewKey, NewToken, Ticket
from ai_agents.core.rows import Page, Role
from ai_agents.core.types import RoleName
from ai_agents.store import audit, keys, ranks, roles, tokens
from ai_agents.store.ranks import EVERYBODY, checked_type
from app.container import Container
from app.errors import Unauthorized, invalid_query
from app.schemas.access import CreateKey, CreateRole, CreateTicket, CreateToken, RotateKey
from app.services.identity import (
    PageArguments,
    Principal,
    act_of,
    check_id,
    note_admin,
    require_admin,
    see_thread,
    whose,
)

_DELETED = "This API key has been deleted."
_KEYS_ONLY = "Only an API key makes keys and tokens, and gives keys new secrets."


async def create_key(container: Container, user: Principal, body: CreateKey) -> NewKey:
    """A new key with its secret, which is shown only now. Raises `PermissionDenied`, `Unauthorized`.

    A key that the user's own key makes for the same user ends with it, and any key that a former secret makes, with
    that secret.
    """
    _check_namespace(container, user, body.user_id)
    _require_key(user)
    owner = body.user_id or user.user_id
    if not user.is_admin and (owner != user.user_id or body.admin):
        raise PermissionDenied("Only an admin makes keys for others, and admin keys.")
    parent_id = user.key_id if owner == user.user_id else None
    ends_at = min(filter(None, (body.expires_at, _end_of(user) if user.is_former else None)), default=None)

    def create(connection: Connection) -> NewKey:
        made = keys.create_key(connection, owner, body.name, expires_at=ends_at, admin=body.admin, parent_id=parent_id)
        facts = {"admin": made["admin"], "expires": made["expires_at"] is not None}
        audit.record(connection, act_of(user, "key.create", "key", made["id"], subject_id=owner, details=facts))
        return made

    try:
        return await container.conn.database.write(create)
    except KeyNotFound:
        raise Unauthorized(_DELETED) from None


async def see_key(container: Container, user: Principal, key_id: str) -> str:
    """The id of a key of the user's; an admin sees any. Raises `KeyNotFound`."""
    check_id(key_id, KeyNotFound)
    await container.keys.see(key_id, user_id=None if user.is_admin else user.user_id)
    return key_id


async def rotate_key(container: Container, user: Principal, key_id: str, body: RotateKey) -> NewKey:
    """The key with a new secret, which is shown only now. Raises `KeyNotFound`, `PermissionDenied`.

    A key rotates itself and what it made: by the secret of another key it would outlive its own end. An admin makes
    keys for everybody anyway.
    """
    _require_key(user)
    if user.is_former:
        raise PermissionDenied("A former secret gives its key no new one: it would not end.")
    own = {} if user.is_admin else {"user_id": user.user_id, "by_key_id": user.key_id}

    def rotate(connection: Connection) -> NewKey:
        made = keys.rotate_key(connection, key_id, grace_s=body.grace_s, **own)
        facts = {"admin": made["admin"], "grace_s": body.grace_s}
        audit.record(connection, act_of(user, "key.rotate", "key", key_id, subject_id=made["user_id"], details=facts))
        return made

    return await container.conn.database.write(rotate)


async def list_keys(container: Container, user: Principal, page: PageArguments, *, q: str | None) -> Page[Key]:
    """The user's keys (with `q` in their names), newest first; an admin sees all. Raises `InvalidCursor`."""
    return await container.keys.list(await whose(container, user, "key"), q=q, **page)


async def delete_key(container: Container, user: Principal, key_id: str) -> None:
    """Delete a key of the user's; an admin deletes any. It stops working at once. Raises `KeyNotFound`."""
    check_id(key_id, KeyNotFound)

    def delete(connection: Connection) -> None:
        gone = keys.delete_key(connection, key_id, user_id=None if user.is_admin else user.user_id)
        facts = {"admin": gone["admin"]}
        audit.record(connection, act_of(user, "key.delete", "key", key_id, subject_id=gone["user_id"], details=facts))

    await container.conn.database.write(delete, long=True)


def _require_key(user: Principal) -> str:
    """The id of the user's key. Raises `PermissionDenied` for a request without one."""
    if user.sent != "key" or user.key_id is None:
        raise PermissionDenied(_KEYS_ONLY)
    return user.key_id


def _check_namespace(container: Container, user: Principal, user_id: str | None) -> None:
    """Raises `InvalidRequest` for a user of the issuer of JWTs, which only an admin may name: they come from JWTs."""
    if user_id is not None and not user.is_admin and container.jwts is not None and container.jwts.is_own(user_id):
        raise InvalidRequest("This is a user of the issuer of JWTs.", loc=("user_id",))


async def create_token(container: Container, user: Principal, body: CreateToken) -> NewToken:
    """A new token, which is shown only now. It ends with the user's key, and with the secret that made it.

    Raises `AgentNotFound` for an agent that the user does not see, `PermissionDenied`, `Unauthorized`.
    """
    if body.agents is not None:
        await _see_agents(container, user, body.agents)
    _check_namespace(container, user, body.user_id)
    key_id = _require_key(user)
    owner = body.user_id or user.user_id
    if owner != user.user_id:
        require_admin(user, "Only an admin makes tokens for others.")

    def create(connection: Connection) -> NewToken:
        made = tokens.create_token(
            connection,
            owner,
            parent_id=key_id,
            expires_in_s=body.expires_in_s,
            agents=body.agents,
            ends_at=_end_of(user) if user.is_former else None,
        )
        facts = {"expires_in_s": body.expires_in_s, "agents": None if body.agents is None else len(body.agents)}
        audit.record(connection, act_of(user, "token.create", "token", made["id"], subject_id=owner, details=facts))
        return made

    try:
        return await container.conn.database.write(create)
    except KeyNotFound:
        raise Unauthorized(_DELETED) from None


async def _see_agents(container: Container, user: Principal, agent_ids: Sequence[str]) -> None:
    """Raises `AgentNotFound` unless the user sees all of these."""
    for agent_id in agent_ids:
        check_id(agent_id, AgentNotFound)

    def see(connection: Connection) -> None:
        for agent_id in agent_ids:
            require_on_agent(connection, user.user_id, agent_id, "see", **user.reach)

    await container.conn.database.read(see)


async def delete_token(container: Container, user: Principal, token_id: str) -> None:
    """Delete a token of the user's; an admin deletes any. Raises `TokenNotFound`."""
    check_id(token_id, TokenNotFound)
    if user.within is not None and token_id != user.key_id:
        raise TokenNotFound

    def delete(connection: Connection) -> None:
        owner = tokens.delete_token(connection, token_id, user_id=None if user.is_admin else user.user_id)
        audit.record(connection, act_of(user, "token.delete", "token", token_id, subject_id=owner))

    await container.conn.database.write(delete)


async def delete_tokens(container: Container, user: Principal, user_id: str) -> None:
    """Delete all tokens of a user. Raises `PermissionDenied` for another user's."""
    if user_id != user.user_id:
        require_admin(user, "Only an admin deletes the tokens of others.")

    def delete(connection: Connection) -> None:
        facts = {"tokens": tokens.delete_tokens_of(connection, user_id)}
        audit.record(connection, act_of(user, "token.delete", "token", subject_id=user_id, details=facts))

    await container.conn.database.write(delete, long=True)


def _end_of(user: Principal) -> str | None:
    """When the secret of the request ends."""
    return None if user.ask_at is None else format_time(datetime.fromtimestamp(user.ask_at, UTC))


async def create_ticket(container: Container, user: Principal, body: CreateTicket) -> Ticket:
    """A ticket for a thread that the user may read, or for following all of them. Raises `ThreadNotFound`."""
    if body.thread_id is not None:
        await see_thread(container, user, body.thread_id)
    try:
        return await container.tickets.create(
            body.thread_id,
            user.user_id,
            admin=user.is_admin,
            key_id=user.key_id,
            ends_at=_end_of(user) if user.sent == "jwt" or user.is_former else None,
        )
    except KeyNotFound:
        raise Unauthorized(_DELETED) from None


_UNKNOWN: dict[str, type[NotFound]] = {
    "agent": AgentNotFound,
    "thread": ThreadNotFound,
    "tool": ToolNotFound,
    "provider": ProviderNotFound,
}


async def assign_role(container: Container, user: Principal, body: CreateRole) -> Role:
    """Give a user a role in place of the one that they have on the resource.

    Raises `NotFound` for what the user does not see, `PermissionDenied`, `LastOwner`, `InvalidRequest`.
    """
    try:
        await _require_owner(container, user, body.resource_type, body.resource_id)
        if body.user_id == EVERYBODY and not (user.is_admin or container.settings.users_share_with_all):
            raise PermissionDenied("Only an admin gives roles to every user (*).")
    except PermissionDenied:
        # What is wrong with the request is told before what the user may not do.
        ranks.checked_role(body.user_id, body.role, checked_type(body.resource_type))
        raise
    # Only an admin puts agents into the lists of others.
    place = body.resource_type, body.resource_id

    def assign(connection: Connection) -> Role:
        role = roles.assign(connection, body.user_id, body.role, *place, listed=user.is_admin)
        facts = {"role": role["role"]}
        audit.record(connection, act_of(user, "role.assign", *place, subject_id=body.user_id, details=facts))
        return role

    return await container.conn.database.write(assign)


async def list_roles(
    container: Container, user: Principal, resource_type: str | None, resource_id: str | None, page: PageArguments
) -> Page[Role]:
    """The roles on a resource; without one, the user's own roles.

    Raises `NotFound` for what the user does not see, `PermissionDenied`, `InvalidFields` for half of a resource.
    """
    if resource_type is None or resource_id is None:
        if resource_type is not None:
            raise invalid_query("resource_id", "is needed with resource_type")
        if resource_id is not None:
            raise invalid_query("resource_type", "is needed with resource_id")
        return await container.roles.list_of(user.user_id, **page)
    role = await _require_owner(container, user, resource_type, resource_id)
    if role is None and resource_type in {"agent", "thread"}:
        await note_admin(container, user, checked_type(resource_type), resource_id)
    return await container.roles.list(resource_type, resource_id, **page)


async def remove_role(container: Container, user: Principal, role_id: str) -> None:
    """Remove a role; each user may give up their own.

    Raises `PermissionDenied`, `LastOwner`, and `RoleNotFound` also if the user does not see the resource.
    """
    role = await container.roles.get(check_id(role_id, RoleNotFound))
    if role["user_id"] != user.user_id:
        try:
            await _require_owner(container, user, role["resource_type"], role["resource_id"])
        except NotFound:
            raise RoleNotFound from None

    def remove(connection: Connection) -> None:
        gone = roles.remove(connection, role_id)
        place = gone["resource_type"], gone["resource_id"]
        facts = {"role": gone["role"]}
        audit.record(connection, act_of(user, "role.remove", *place, subject_id=gone["user_id"], details=facts))

    await container.conn.database.write(remove)
    await refresh_rights(container, role["resource_type"])


async def require_to_see(container: Container, user: Principal, role: Role) -> None:
    """Raises `RoleNotFound` for a user who may not see the roles on the resource."""
    try:
        await _require_owner(container, user, role["resource_type"], role["resource_id"])
    except (NotFound, PermissionDenied):
        raise RoleNotFound from None


async def _require_owner(
    container: Container, user: Principal, resource_type: str, resource_id: str
) -> RoleName | None:
    """The user's role on the resource: owner or, for an admin, any or none.

    Raises `PermissionDenied` for a user who may not see and assign the roles; only admins do on tools and providers.
    Raises `NotFound` for a user who does not see the resource.
    """
    if resource_type in {"tool", "provider"}:
        if not await container.auth.may_see(user.user_id, resource_type, resource_id, **user.reach):
            raise _UNKNOWN[resource_type]
        require_admin(user, f"Only an admin sees and assigns roles on a {resource_type}.")
        return None
    check_id(resource_id, _UNKNOWN[resource_type])
    if resource_type == "agent":
        role = await container.auth.agent_access(user.user_id, resource_id, "see", **user.reach)
        allowed = may_on_agent("manage_roles", role)
    else:
        role = (await container.auth.thread_access(user.user_id, resource_id, **user.reach)).thread_role
        allowed = may_on_thread("manage_roles", role)
    if not user.is_admin and not allowed:
        raise PermissionDenied(
            f"Only owners of the {resource_type} see and assign its roles.", resource=(resource_type, resource_id)
        )
    return role


async def refresh_rights(container: Container, resource_type: str) -> None:
    """Let a role on a tool or provider count at once in this process; others read it within seconds."""
    if resource_type in {"tool", "provider"}:
        await container.stored_providers.refresh()
