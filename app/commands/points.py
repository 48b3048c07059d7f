"""What `ai-agents check` looks at: each point by itself, within a few seconds, without changing anything."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, select
from sqlalchemy.engine import URL

from ai_agents.attachments import folder
from ai_agents.attachments.storage import open_blob_store
from ai_agents.bus.failures import find_fault
from ai_agents.context.providers import spec_of
from ai_agents.core.exceptions import AIAgentsError, InvalidRequest
from ai_agents.providers.registry import ProviderPool
from ai_agents.providers.specs import PROVIDER_TYPES
from ai_agents.store import migrate, providers
from ai_agents.store.credential_tables import ToolCredentialsTable
from ai_agents.store.database import Database, normalize_url
from ai_agents.store.models import SCHEMA_REVISION, AdminToolTable
from ai_agents.store.opening import describe_place, is_newer
from ai_agents.store.processes import is_worker_alive
from ai_agents.store.provider_tables import ProviderTable
from ai_agents.store.sealing import SealBroken, Sealer
from ai_agents.store.sqlite_files import database_file
from ai_agents.store.webhook_tables import WebhookTable
from app import tracing
from app.container import ECHO, build_providers, check_models
from app.key_files import ENCRYPTION_KEY, admin_key, encryption_keys
from app.services.provider_checks import ask_smallest
from app.settings import Settings
from app.settings.reading import unknown_names

# Databases and folders answer in milliseconds, and a refused connection tells at once. A model may think first.
_LOOK_S, _MODEL_S = 5.0, 7.0
_SEALED = (
    ProviderTable.sealed_secrets,
    AdminToolTable.sealed_headers,
    WebhookTable.sealed_secret,
    ToolCredentialsTable.sealed_headers,
)
_MOST_SEALED = 10_000


# Says what is right at a point, None where nothing is configured. Raises `Fault`.
Find = Callable[[], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Point:
    """What was found at one point. `ok` is None where nothing is configured that fails. `where` has no secrets."""

    name: str
    ok: bool | None
    where: str
    said: str


class Fault(Exception):
    """What is wrong at a point."""


async def look_at_all(settings: Settings, *, providers: bool) -> list[Point]:
    """Every point, in the order in which one would mend them; they are looked at together."""
    database = _DatabasePoints(settings)
    admin_at = _key_at(settings.admin_key, settings.admin_key_file)
    encryption_at = _key_at(settings.encryption_key, settings.var_dir / ENCRYPTION_KEY)
    looks = [
        _look("settings", ".env and the environment", _names),
        _look("database", database.where, database.find),
        *_look_at_pooler(settings),
        _look("redis", _without_secrets(settings.redis_url), lambda: _redis(settings)),
        _look("worker", "", lambda: _worker(settings, database), within_s=_LOOK_S + 1),
        _look("folder", str(settings.var_dir.absolute()), lambda: _folder(settings.var_dir)),
        _look("files", _files_at(settings), lambda: _files(settings, database), within_s=_LOOK_S + 1),
        _look("admin key", admin_at, lambda: _admin_key(settings)),
        _look("encryption key", encryption_at, lambda: _encryption_key(settings, database), within_s=_LOOK_S + 1),
        _look("issuer of JWTs", settings.oidc_issuer or "", lambda: _issuer(settings)),
        _look("traces", tracing.shown(settings.traces_address or ""), lambda: _traces(settings), within_s=_LOOK_S + 1),
    ]
    try:
        found, of_providers = await asyncio.gather(
            asyncio.gather(*looks), _look_at_providers(settings, database, ask=providers)
        )
    finally:
        await database.close()
    return [*found, *of_providers]


async def _look(name: str, where: str, find: Find, *, within_s: float = _LOOK_S) -> Point:
    """The point as `find` finds it."""
    try:
        async with asyncio.timeout(within_s):
            said = await find()
    except Fault as fault:
        return Point(name, False, where, str(fault))
    except TimeoutError:
        return Point(name, False, where, f"it did not answer within {within_s:.0f} seconds")
    except AIAgentsError as error:
        return Point(name, False, where, str(error))
    except OSError as error:
        return Point(name, False, where, error.strerror or str(error))
    return Point(name, None if said is None else True, where, said or "not configured")


async def _names() -> str:
    wrong = unknown_names()
    if wrong:
        raise Fault("; ".join(wrong))
    return "every name is known"


class _DatabasePoints:
    """The database, which is looked at once; points that need it wait for that."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database: Database | None = None
        self._found: asyncio.Task[str] | None = None
        try:
            self.url: URL | None = normalize_url(settings.direct_database)
            self.where = f"{self.url.get_backend_name()} {describe_place(self.url)}"
        except InvalidRequest:
            self.url, self.where = None, ""

    async def find(self) -> str:
        """Raises `Fault`, `AIAgentsError`."""
        self._found = self._found or asyncio.create_task(self._find())
        return await asyncio.shield(self._found)

    async def open(self) -> Database | None:
        """The database; None where it cannot be used, which is told at its own point."""
        try:
            async with asyncio.timeout(_LOOK_S):
                await self.find()
        except (Fault, AIAgentsError, OSError):  # a time-out is an OSError
            return None
        self._database = self._database or Database(self._settings.direct_database, pool_size=2)
        return self._database

    async def close(self) -> None:
        """Close what was opened."""
        if self._found is not None:
            self._found.cancel()
            await asyncio.wait({self._found})
        if self._database is not None:
            await self._database.close()

    async def _find(self) -> str:
        url = self.url or normalize_url(self._settings.direct_database)
        file = database_file(url) if url.get_backend_name() == "sqlite" else None
        if file is not None and not file.exists():
            # Looking at it would make it.
            raise Fault("there is no such file yet: `ai-agents migrate` or `ai-agents serve` makes it")
        revision = await asyncio.to_thread(migrate.current, self._settings.direct_database, connect_s=_LOOK_S)
        if revision is None:
            raise Fault("it has no tables yet: `ai-agents migrate` or `ai-agents serve` makes them")
        if is_newer(revision):
            return f"schema {revision}, of a newer version; that of this one is {SCHEMA_REVISION}"
        if revision != SCHEMA_REVISION:
            raise Fault(
                f"its schema is {revision}, and that of this version {SCHEMA_REVISION}: run `ai-agents migrate`"
            )
        return f"schema {revision}"


def _look_at_pooler(settings: Settings) -> list[Awaitable[Point]]:
    """The way to the database that most connections take, where it is not the direct one."""
    if settings.database_direct_url is None:
        return []

    async def find() -> str:
        database = Database(settings.database, pool_size=1, direct_url=settings.direct_database)
        try:
            await database.check()
        finally:
            await database.close()
        return "it leads to the database"

    where = _without_secrets(settings.database)
    return [_look("pooler", where, find)]


async def _redis(settings: Settings) -> str | None:
    if settings.redis_url is None:
        return None
    fault = await find_fault(settings.redis_url, timeout_s=_LOOK_S)
    if fault is not None:
        raise Fault(fault)
    return "it answers"


async def _worker(settings: Settings, database: _DatabasePoints) -> str | None:
    if settings.redis_url is None:
        return None
    opened = await database.open()
    if opened is None:
        raise Fault("the database cannot be asked")
    if not await opened.read(lambda c: is_worker_alive(c, "")):
        raise Fault("no worker is alive: background jobs wait until `ai-agents worker` runs")
    return "a worker is alive"


async def _folder(place: Path) -> str:
    def look() -> str:
        if not place.exists():
            # The service makes it in the nearest folder that there is.
            nearest = next(each for each in place.absolute().parents if each.exists())
            if not os.access(nearest, os.W_OK | os.X_OK):
                raise Fault(f"it does not exist, and this user may not write into {nearest}")
            return "the service makes it when it starts"
        if not place.is_dir():
            raise Fault("it is no folder")
        if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
            raise Fault("this user may not read and write in it")
        return "it can be read and written"

    return await asyncio.to_thread(look)


async def _files(settings: Settings, database: _DatabasePoints) -> str:
    if settings.files_url is None:
        said = await _folder(settings.files)
        opened = await database.open()
        if opened is not None and (fault := await folder.find_fault(settings.files, opened)) is not None:
            raise Fault(fault)
        return said
    fault = await open_blob_store(settings.files, settings.files_url).find_fault()
    if fault is not None:
        raise Fault(fault)
    return "it answers"


async def _admin_key(settings: Settings) -> str:
    return await asyncio.to_thread(_key, settings.admin_key, settings.admin_key_file, lambda: admin_key(settings))


async def _encryption_key(settings: Settings, database: _DatabasePoints) -> str:
    """Whether it opens all that is sealed in the database."""
    file = settings.var_dir / ENCRYPTION_KEY
    said = await asyncio.to_thread(_key, settings.encryption_key, file, lambda: encryption_keys(settings))
    opened = await database.open()
    if opened is None:
        return said
    sealed = await opened.read(list_sealed, long=True)
    if not sealed:
        return said
    if settings.encryption_key is None and not file.exists():
        raise Fault(f"it is gone, and {len(sealed)} secrets of the database are sealed with it")
    if closed := await asyncio.to_thread(count_closed, settings, sealed):
        raise Fault(f"{closed} of {len(sealed)} secrets of the database were sealed with another key")
    return f"it opens all {len(sealed)} secrets of the database"


def _key(given: Any, file: Path, read: Callable[[], Any]) -> str:
    if given is not None:
        return "set"
    if not file.exists():
        return "the service makes it when it starts"
    read()
    return "it can be read"


def list_sealed(connection: Connection) -> list[str]:
    """What is sealed in the database, as much as a look at it takes."""
    found = list[str]()
    for column in _SEALED:
        found += connection.scalars(select(column).where(column.is_not(None)).limit(_MOST_SEALED))
    return found


def count_closed(settings: Settings, sealed: Sequence[str]) -> int:
    """How many of these the encryption keys do not open. Where there is no key, it makes none."""
    if settings.encryption_key is None and not (settings.var_dir / ENCRYPTION_KEY).exists():
        return len(sealed)
    sealer = Sealer(encryption_keys(settings))
    return sum(not _opens(sealer, each) for each in sealed)


def _opens(sealer: Sealer, sealed: str) -> bool:
    try:
        sealer.open(sealed)
    except SealBroken:
        return False
    return True


async def _issuer(settings: Settings) -> str | None:
    if settings.oidc_issuer is None:
        return None
    from app.oidc.keys import IssuerKeys

    keys = IssuerKeys(settings.oidc_issuer)
    try:
        fault = await keys.find_fault()
    finally:
        await keys.aclose()
    if fault is not None:
        raise Fault(fault)
    return "it publishes keys"


async def _traces(settings: Settings) -> str | None:
    if settings.traces_address is None:
        return None
    fault = await asyncio.to_thread(tracing.find_fault, settings, timeout_s=_LOOK_S)
    if fault is not None:
        raise Fault(fault)
    return "it takes them"


async def _look_at_providers(settings: Settings, database: _DatabasePoints, *, ask: bool) -> list[Point]:
    """The default model, and each provider that is configured."""
    async with AsyncExitStack() as stack:
        try:
            pool = build_providers(settings)
            stack.push_async_callback(pool.aclose)
            check_models(settings, pool)
        except AIAgentsError as error:
            return [Point("default model", False, settings.default_model or "", str(error))]
        configured = _configured(settings, pool)
        known, usual, stored = await asyncio.gather(
            _ask_all(pool, configured if ask else ()),
            _ask_usual(pool, configured) if ask else _none(),
            _ask_stored(settings, database, pool, ask=ask),
        )
        # Admins may have made its provider.
        return [await _look("default model", "", lambda: _default_model(pool)), *known, *usual, *stored]


async def _ask_all(pool: ProviderPool, names: Iterable[str]) -> list[Point]:
    looks = []
    for name in names:
        status = pool.find(name)
        where = "" if status is None else status.base_url or ""
        looks.append(_look(f"provider {name}", where, _asking(pool, name), within_s=_MODEL_S + 1))
    return list(await asyncio.gather(*looks))


async def _ask_usual(pool: ProviderPool, configured: Collection[str]) -> list[Point]:
    """The providers that need no setting: their servers may be at the usual address, and it is no fault if not."""
    usual = {
        status.name: PROVIDER_TYPES[status.name].settings["base_url"]
        for status in pool.configured()
        if status.source == "environment" and status.reason is None and status.base_url is not None
        if status.name not in configured
    }
    return [
        each if each.ok else Point(each.name, None, each.where, f"{each.said} ({usual[name]} sets another address)")
        for name, each in zip(usual, await _ask_all(pool, usual), strict=True)
    ]


async def _none() -> list[Point]:
    return []


async def _ask_stored(settings: Settings, database: _DatabasePoints, pool: ProviderPool, *, ask: bool) -> list[Point]:
    """The providers that admins made, which the pool gets. None where the database cannot be used."""
    opened = await database.open()
    if opened is None or (settings.encryption_key is None and not (settings.var_dir / ENCRYPTION_KEY).exists()):
        return []
    sealer = Sealer(encryption_keys(settings))
    rows = await opened.read(providers.list_providers)
    specs = [spec_of(row, sealer) for row in rows if row["type"] != providers.GIVEN]
    await pool.replace_made(specs)
    return await _ask_all(pool, [spec.name for spec in specs] if ask else ())


def _configured(settings: Settings, pool: ProviderPool) -> list[str]:
    """Those for which there is a setting, those of the file, and the default one."""
    given = {name for name, options in settings.provider_options.items() if any(options.values())}
    return [
        status.name
        for status in pool.configured()
        if status.name in given or status.source == "file" or status.name == pool.default[0]
    ]


def _asking(pool: ProviderPool, name: str) -> Find:
    async def ask() -> str:
        status = pool.find(name)
        if status is None or status.reason is not None:
            raise Fault("it is gone" if status is None else str(status.reason))
        checked = await ask_smallest(pool, name, status.default_model, timeout_s=_MODEL_S)
        if not checked["ok"]:
            status_line = "" if checked["status"] is None else f" (HTTP {checked['status']})"
            raise Fault(f"{checked['reason']}{status_line}")
        return f"{checked['model']} answered after {checked['latency_ms']} ms"

    return ask


async def _default_model(pool: ProviderPool) -> str:
    name, model = pool.default
    status = pool.find(name)
    if status is None:
        raise Fault(f"there is no provider {name}; known are {', '.join(pool.names())}")
    if status.reason is not None:
        raise Fault(status.reason)
    if (name, model) == ECHO:
        return "echo, which repeats what it is told: set a provider's key, such as ANTHROPIC_API_KEY or OPENAI_API_KEY"
    return f"{name}:{model}" if model else f"{name}, and the model of each agent"


def _key_at(given: Any, file: Path) -> str:
    return "" if given is not None else str(file.absolute())


def _files_at(settings: Settings) -> str:
    return str(settings.files.absolute()) if settings.files_url is None else _without_secrets(settings.files_url)


def _without_secrets(url: str | None) -> str:
    """An address without the user, the password and the query, which may hold keys."""
    parts = urlsplit(url or "")
    try:
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        port = ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}" if parts.scheme else ""
