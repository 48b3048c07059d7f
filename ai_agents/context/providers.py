"""The providers of the database in this process: what admins made, and what refusals taught.

And who may use which provider and which tool.

Each process reads them every few seconds, which is three small queries, so that a change on one replica or worker holds
on all others. The process that makes a change reads them at once.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection

from ai_agents.auth.use import UseRights
from ai_agents.core import json
from ai_agents.core.exceptions import DatabaseUnavailable, InvalidRequest
from ai_agents.core.table_rows import ProviderRow
from ai_agents.core.types import JsonObject, UsedType
from ai_agents.providers.quirks import Quirks
from ai_agents.providers.registry import ProviderPool
from ai_agents.providers.specs import ProviderSpec, parse_spec
from ai_agents.store import providers, roles
from ai_agents.store.database import Database
from ai_agents.store.in_step import InStep
from ai_agents.store.providers import LearnedMark, LearnedRows
from ai_agents.store.sealing import SealBroken, Sealer

# As wide as the columns of what is learned.
_MAX_PROVIDER, _MAX_MODEL = 64, 200
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What the database has. `learned` is None where it is as it was."""

    rows: list[ProviderRow]
    users: Mapping[UsedType, Mapping[str, frozenset[str]]]
    mark: LearnedMark
    learned: LearnedRows | None


class StoredProviders:
    """Keeps a pool, and the rights on providers and tools, as the database has them."""

    def __init__(self, database: Database, pool: ProviderPool, rights: UseRights, sealer: Sealer) -> None:
        self._database = database
        self._pool = pool
        self._rights = rights
        self._sealer = sealer
        self._refreshing = asyncio.Lock()
        self._in_step = InStep("providers", self.refresh)
        self._mark: LearnedMark | None = None
        # By name, so that a row is decrypted once per version. None for a row that cannot be used.
        self._specs: dict[str, tuple[tuple[str, int], ProviderSpec | None]] = {}
        self._unsaved: dict[tuple[str, str], Quirks] = {}

    async def open(self) -> bool:
        """Read all and go on reading. Returns whether the database answered; if not, it is asked again and again."""
        self._pool.on_learn = self._note
        answered = await self._in_step.start()
        if not answered:
            _log.warning("the database does not answer: its providers are read later")
        return answered

    async def refresh(self) -> None:
        """Take what the database has now, and save what was learned. Raises `DatabaseUnavailable`."""
        async with self._refreshing:
            await self._save_learned()
            known = self._mark
            snapshot = await self._database.read(lambda c: _read(c, known))
            new = {name for name in self._pool.given_names() if len(name) <= _MAX_PROVIDER} - {
                row["name"] for row in snapshot.rows
            }
            if new:
                await self._database.write(lambda c: providers.ensure_given(c, new))
                snapshot = await self._database.read(lambda c: _read(c, known))
            await self._take(snapshot)

    async def aclose(self) -> None:
        """Stop reading, and save what was learned."""
        await self._in_step.stop()
        with suppress(DatabaseUnavailable):
            await self._save_learned()

    async def _take(self, snapshot: _Snapshot) -> None:
        self._rights.load(snapshot.users)
        if snapshot.learned is not None:
            learned = {
                name: {model: _quirks(given) for model, given in models.items()}
                for name, models in snapshot.learned.items()
            }
            self._pool.take_learned(learned)
        is_first, self._mark = self._mark is None, snapshot.mark
        rows = [row for row in snapshot.rows if row["type"] != providers.GIVEN]
        self._specs = {row["name"]: self._parse(row) for row in rows}
        made = [spec for _, spec in self._specs.values() if spec is not None]
        changed = await self._pool.replace_made(made)
        for name in () if is_first else changed:
            _log.info("a provider was made, changed or deleted", extra={"provider": name})

    def _parse(self, row: ProviderRow) -> tuple[tuple[str, int], ProviderSpec | None]:
        version = row["created_at"], row["version"]
        known = self._specs.get(row["name"])
        if known is not None and known[0] == version:
            return known
        try:
            return version, spec_of(row, self._sealer)
        except InvalidRequest as error:  # it was made when more was allowed
            facts = {"provider": row["name"], "reason": str(error)}
            _log.error("a provider of the database cannot be used", extra=facts)
            return version, None

    def _note(self, provider: str, model: str, quirks: Quirks) -> None:
        facts = {"provider": provider, "model": model, "quirks": quirks.to_dict()}
        _log.info("a refusal taught what a model does not take", extra=facts)
        if len(provider) <= _MAX_PROVIDER and len(model) <= _MAX_MODEL:
            self._unsaved[provider, model] = quirks

    async def _save_learned(self) -> None:
        unsaved, self._unsaved = self._unsaved, {}
        if not unsaved:
            return

        def save(connection: Connection) -> None:
            for (provider, model), quirks in unsaved.items():
                providers.save_learned(connection, provider, model, quirks.to_dict())

        try:
            await self._database.write(save)
        except BaseException:
            self._unsaved = {**unsaved, **self._unsaved}
            raise


def spec_of(row: ProviderRow, sealer: Sealer) -> ProviderSpec:
    """The provider of a row. Raises `InvalidRequest` for a row that was made when more was allowed."""
    missing = None
    secrets: JsonObject = {}
    try:
        secrets = open_secrets(row, sealer)
    except SealBroken:
        missing = "Its secrets were sealed with another AI_AGENTS_ENCRYPTION_KEY, and have to be given again."
    given = {key: row[key] for key in ("name", "type", "preset", "base_url", "default_model", "quirks")}
    return parse_spec(given | secrets, missing=missing, version=(row["created_at"], row["version"]))


def seal_secrets(api_key: str | None, headers: Mapping[str, str], sealer: Sealer) -> str | None:
    """A provider's secrets as its row holds them; None for none."""
    if not api_key and not headers:
        return None
    return sealer.seal({"api_key": api_key or "", "headers": json.dumps(dict(headers))})


def open_secrets(row: ProviderRow, sealer: Sealer) -> JsonObject:
    """A row's `api_key` (None for none) and `headers`. Raises `SealBroken`."""
    if row["sealed_secrets"] is None:
        return {"api_key": None, "headers": {}}
    opened = sealer.open(row["sealed_secrets"])
    return {"api_key": opened["api_key"] or None, "headers": json.loads(opened["headers"])}


def _read(connection: Connection, known: LearnedMark | None) -> _Snapshot:
    mark = providers.learned_mark(connection)
    learned = None if mark == known else providers.list_learned(connection)
    rows, users = providers.list_providers(connection), roles.users_by_name(connection)
    # A provider without any role is closed; one without a row was not seen yet.
    users["provider"] = {row["name"]: frozenset() for row in rows} | users["provider"]
    return _Snapshot(rows, users, mark, learned)


def _quirks(given: JsonObject) -> Quirks:
    """What was stored; nothing where a newer program stored what this one does not know."""
    try:
        return Quirks.from_dict(given)
    except InvalidRequest:
        return Quirks()
