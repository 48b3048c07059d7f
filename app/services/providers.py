"""Providers: what users see of them, and how admins make, change, check and delete them."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import Connection

from ai_agents.context.providers import open_secrets, seal_secrets
from ai_agents.core.exceptions import Conflict, ProviderNotFound
from ai_agents.core.ids import utc_now
from ai_agents.core.table_rows import ProviderRow
from ai_agents.core.types import JsonObject
from ai_agents.providers.quirks import Quirks
from ai_agents.providers.registry import ProviderStatus
from ai_agents.providers.specs import parse_spec
from ai_agents.store import audit, providers
from ai_agents.store.sealing import SealBroken
from app.container import Container
from app.schemas.providers import CreateProvider, UpdateProvider
from app.services.identity import Principal, act_of, check_version, require_admin
from app.services.provider_checks import ask_smallest
from app.services.repeats import SentKey, create_once, for_admins

_ADMINS_ONLY = "Only an admin sees a provider whole, makes, checks, changes and deletes it."
_CHECK_TIMEOUT_S = 30.0


async def list_providers(container: Container, user: Principal) -> JsonObject:
    """The providers that the user may name in agents, by name; an admin sees all, with more of each."""
    if user.is_admin:
        await container.stored_providers.refresh()
    listed = [each for each in container.providers.configured() if _may_see(container, user, each.name)]
    return {"data": [_to_dict(container, each, is_admin=user.is_admin) for each in listed], "next": None}


async def see_provider(container: Container, user: Principal, name: str) -> ProviderStatus:
    """The provider, if the user may use it. Raises `ProviderNotFound`."""
    found = container.providers.find(name)
    if found is None:
        # It may have been made on another replica just now.
        await container.stored_providers.refresh()
        found = container.providers.find(name)
    if found is None or not _may_see(container, user, name):
        raise ProviderNotFound
    return found


async def get_provider(container: Container, user: Principal, provider: ProviderStatus) -> JsonObject:
    """The provider as admins see it. Raises `PermissionDenied`, `ProviderNotFound`."""
    require_admin(user, _ADMINS_ONLY)
    await container.stored_providers.refresh()
    found = container.providers.find(provider.name)
    if found is None:
        raise ProviderNotFound
    return _to_dict(container, found, is_admin=True)


async def create_provider(
    container: Container, user: Principal, body: CreateProvider, *, sent: SentKey | None
) -> JsonObject:
    """A new provider, which every user may use. Raises `PermissionDenied`, `InvalidRequest`, `Conflict`."""
    require_admin(user, _ADMINS_ONLY)
    given = body.model_dump(by_alias=True, exclude_unset=True)
    spec = parse_spec(given)
    if spec.name in container.providers.given_names():
        raise Conflict("This name belongs to a provider of the environment, the file or the program.")
    now = utc_now()
    row: ProviderRow = {
        "name": spec.name,
        "type": spec.type,
        "preset": spec.preset,
        "base_url": None if given.get("base_url") is None else spec.base_url,
        "sealed_secrets": seal_secrets(spec.api_key, spec.headers, container.tools.sealer),
        "default_model": spec.default_model,
        "quirks": spec.given.to_dict(),
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }

    async def create() -> JsonObject:
        def write(connection: Connection) -> None:
            providers.create_provider(connection, row)
            audit.record(connection, act_of(user, "provider.create", "provider", spec.name))

        await container.conn.database.write(write)
        made = parse_spec(given, version=(now, 1))
        return _to_dict(container, container.providers.describe(made), is_admin=True)

    made = await create_once(container, user, create, sent=sent, may_see=for_admins)
    await container.stored_providers.refresh()
    return made


async def update_provider(
    container: Container,
    user: Principal,
    provider: ProviderStatus,
    body: UpdateProvider,
    *,
    versions: frozenset[int] | None,
) -> JsonObject:
    """Change a provider. What refusals taught about it is forgotten.

    Raises `PermissionDenied`, `InvalidRequest`, `PreconditionFailed`, `ProviderNotFound`, and `Conflict` for one that
    was not made here.
    """
    require_admin(user, _ADMINS_ONLY)
    _require_made(provider)
    sent = body.model_dump(by_alias=True, exclude_unset=True)
    change = partial(_changed, container, sent=sent, versions=versions)

    def write(connection: Connection) -> None:
        providers.change_provider(connection, provider.name, change)
        audit.record(connection, act_of(user, "provider.change", "provider", provider.name))

    await container.conn.database.write(write)
    return await get_provider(container, user, provider)


async def delete_provider(
    container: Container, user: Principal, provider: ProviderStatus, *, versions: frozenset[int] | None
) -> None:
    """Delete a provider with the roles on it. Agents that name it cannot answer any more.

    Raises as `update_provider` does, and `Conflict` for the default provider.
    """
    require_admin(user, _ADMINS_ONLY)
    _require_made(provider)
    if provider.name == container.providers.default[0]:
        raise Conflict("AI_AGENTS_DEFAULT_MODEL names this provider: the service could not start without it.")

    def check(row: ProviderRow) -> None:
        if versions is not None:
            check_version(versions, row["version"])

    def delete(connection: Connection) -> None:
        providers.delete_provider(connection, provider.name, check)
        audit.record(connection, act_of(user, "provider.delete", "provider", provider.name))

    await container.conn.database.write(delete)
    await container.stored_providers.refresh()


async def check_provider(
    container: Container, user: Principal, provider: ProviderStatus, model: str | None
) -> JsonObject:
    """What one smallest request leads to: `ok, status, latency_ms, model, reason`. Raises `PermissionDenied`.

    It goes over a connection of its own, and is tried once.
    """
    require_admin(user, _ADMINS_ONLY)
    asked = model or provider.default_model
    return await ask_smallest(container.providers, provider.name, asked, timeout_s=_CHECK_TIMEOUT_S)


async def list_models(container: Container, provider: ProviderStatus) -> JsonObject:
    """What the server lists, at most ten minutes old. Raises `ProviderError`."""
    found = await container.model_lists.get(provider.name)
    data = [{"id": each.id, "name": each.name, "context_window": each.context_window} for each in found.models]
    return {"data": data, "next": None, "listed_at": found.listed_at}


def _changed(
    container: Container, row: ProviderRow, *, sent: Mapping[str, Any], versions: frozenset[int] | None
) -> JsonObject:
    """The columns of a row after a change."""
    if versions is not None:
        check_version(versions, row["version"])
    sealer = container.tools.sealer
    try:
        secrets = open_secrets(row, sealer)
    except SealBroken:
        # They are lost with their key; what was sent is in their place.
        secrets = {"api_key": None, "headers": {}}
    kept = {key: row[key] for key in ("name", "type", "preset", "base_url", "default_model", "quirks")}
    spec = parse_spec({**kept, **secrets, **sent})
    is_new = (spec.api_key, spec.headers) != (secrets["api_key"], secrets["headers"])
    return {
        "base_url": None if {**kept, **sent}["base_url"] is None else spec.base_url,
        "sealed_secrets": seal_secrets(spec.api_key, spec.headers, sealer) if is_new else row["sealed_secrets"],
        "default_model": spec.default_model,
        "quirks": spec.given.to_dict(),
    }


def _require_made(provider: ProviderStatus) -> None:
    if provider.source != "database":
        where = {"environment": "the environment", "file": "the file of AI_AGENTS_PROVIDERS"}
        raise Conflict(f"This provider was not made here: it belongs to {where.get(provider.source, 'the program')}.")


def _may_see(container: Container, user: Principal, name: str) -> bool:
    return container.use_rights.may_use(user.user_id, "provider", name, is_admin=user.is_admin)


def _to_dict(container: Container, status: ProviderStatus, *, is_admin: bool) -> JsonObject:
    shown: JsonObject = {
        "name": status.name,
        "type": status.type,
        "configured": status.configured,
        "default": status.name == container.providers.default[0],
        "default_model": status.default_model,
        "reason": status.reason,
    }
    if not is_admin:
        return shown
    learned = container.providers.learned(status.name)
    shown |= {
        "base_url": status.base_url,
        "source": status.source,
        "preset": status.preset,
        "quirks": status.quirks.to_dict(),
        "learned": {model: quirks.to_dict() for model, quirks in sorted(learned.items()) if quirks != Quirks()},
    }
    if status.version is not None:
        shown |= {"created_at": status.version[0], "version": status.version[1]}
    return shown
