"""Providers that admins made, and what refusals taught about the models of any provider.

A row of the type `GIVEN` stands for a provider that was not made here: one of the environment, the file or the program.
It holds nothing; it says that the roles on this provider count, so that no role at all means no user.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

from sqlalchemy import Connection, Table, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ai_agents.core.exceptions import Conflict, ProviderNotFound
from ai_agents.core.ids import utc_now
from ai_agents.core.rows import only
from ai_agents.core.table_rows import ProviderRow
from ai_agents.core.types import JsonObject
from ai_agents.store import ranks, roles
from ai_agents.store.provider_tables import LearnedQuirksTable, ProviderTable

GIVEN = "given"
# More servers than a service has; each process reads all of them again and again.
MAX_PROVIDERS = 500
_PROVIDERS = cast(Table, ProviderTable.__table__)


def create_provider(connection: Connection, values: ProviderRow) -> ProviderRow:
    """Write a provider that every user may use, until its role for `*` is removed. Returns its row.

    Raises `Conflict` if there is one of this name, or if there are too many.
    """
    name = values["name"]
    count = select(func.count()).select_from(_PROVIDERS).where(ProviderTable.type != GIVEN)
    if (connection.scalar(count) or 0) >= MAX_PROVIDERS:
        raise Conflict(f"There are {MAX_PROVIDERS} providers, which is the most.")
    # What a provider of the file left, which had this name before.
    connection.execute(delete(ProviderTable).where(ProviderTable.name == name, ProviderTable.type == GIVEN))
    if not _insert(connection, values):
        raise Conflict("There is a provider of this name.")
    roles.remove_all(connection, "provider", name)
    _forget_all(connection, name)
    _give_to_everybody(connection, name)
    return values


def ensure_given(connection: Connection, names: Collection[str]) -> None:
    """Let every user use these providers, which are not made here; those that were seen before keep their roles."""
    known = set(connection.scalars(select(ProviderTable.name)))
    now = utc_now()
    for name in sorted(set(names) - known):
        row: ProviderRow = {
            "name": name,
            "type": GIVEN,
            "preset": None,
            "base_url": None,
            "sealed_secrets": None,
            "default_model": None,
            "quirks": {},
            "version": 1,
            "created_at": now,
            "updated_at": now,
        }
        if _insert(connection, row):
            _give_to_everybody(connection, name)


def list_providers(connection: Connection) -> list[ProviderRow]:
    """All rows, by name, with those of the type `GIVEN`."""
    found = connection.execute(select(_PROVIDERS).order_by(ProviderTable.name)).mappings()
    return [only(ProviderRow, row) for row in found]


def get_provider(connection: Connection, name: str, *, lock: bool = False) -> ProviderRow:
    """A provider that an admin made. With `lock` no other transaction changes it. Raises `ProviderNotFound`."""
    statement = select(_PROVIDERS).where(ProviderTable.name == name, ProviderTable.type != GIVEN)
    row = connection.execute(statement.with_for_update() if lock else statement).mappings().one_or_none()
    if row is None:
        raise ProviderNotFound
    return only(ProviderRow, row)


def change_provider(
    connection: Connection, name: str, change: Callable[[ProviderRow], Mapping[str, Any]]
) -> ProviderRow:
    """Write what `change` makes of the row, as its next version. Returns the row.

    A change forgets what refusals taught: the server is another one, or treated as one. Raises `ProviderNotFound`.
    """
    row = get_provider(connection, name, lock=True)
    changed = {key: value for key, value in change(row).items() if value != row[key]}  # type: ignore[literal-required]
    if not changed:
        return row
    values = changed | {"version": row["version"] + 1, "updated_at": utc_now()}
    connection.execute(update(ProviderTable).where(ProviderTable.name == name).values(values))
    _forget_all(connection, name)
    return only(ProviderRow, {**row, **values})


def delete_provider(connection: Connection, name: str, check: Callable[[ProviderRow], None] | None = None) -> None:
    """Delete a provider with the roles on it and what was learned about it.

    `check` may refuse the row by raising. Raises `ProviderNotFound`.
    """
    row = get_provider(connection, name, lock=True)
    if check is not None:
        check(row)
    connection.execute(delete(ProviderTable).where(ProviderTable.name == name))
    roles.remove_all(connection, "provider", name)
    connection.execute(delete(LearnedQuirksTable).where(LearnedQuirksTable.provider == name))


LearnedRows = dict[str, dict[str, JsonObject]]
LearnedMark = tuple[int, str | None]


def learned_mark(connection: Connection) -> LearnedMark:
    """Another value after each change of what was learned."""
    found = select(func.count(), func.max(LearnedQuirksTable.learned_at))
    count, newest = connection.execute(found).one()
    return count, newest


def list_learned(connection: Connection) -> LearnedRows:
    """What refusals taught, by provider and model."""
    found: LearnedRows = {}
    table = LearnedQuirksTable
    for provider, model, quirks in connection.execute(select(table.provider, table.model, table.quirks)):
        found.setdefault(provider, {})[model] = quirks
    return found


def save_learned(connection: Connection, provider: str, model: str, quirks: JsonObject) -> None:
    """Write what is known now about a model, in place of what was known."""
    into = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    values = {"provider": provider, "model": model, "quirks": quirks, "learned_at": utc_now()}
    statement = into(LearnedQuirksTable).values(values)
    newer = {name: statement.excluded[name] for name in ("quirks", "learned_at")}
    keys = [LearnedQuirksTable.provider, LearnedQuirksTable.model]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=newer))


def _insert(connection: Connection, row: ProviderRow) -> bool:
    into = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return connection.execute(into(ProviderTable).on_conflict_do_nothing(), dict(row)).rowcount == 1


def _give_to_everybody(connection: Connection, name: str) -> None:
    roles.insert_role(connection, user_id=ranks.EVERYBODY, role="user", resource_type="provider", resource_id=name)


def _forget_all(connection: Connection, name: str) -> None:
    """Forget what was learned about a provider whose address or quirks are new."""
    connection.execute(delete(LearnedQuirksTable).where(LearnedQuirksTable.provider == name))
