"""The totals of users are what they have, whatever was made, refused, passed on and deleted, in whatever order."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from ai_agents.core.exceptions import QuotaExceeded
from ai_agents.core.limits import NO_LIMITS, UserLimits
from ai_agents.store import files
from ai_agents.store.agents import create_agent, delete_agent, update_agent
from ai_agents.store.database import Database
from ai_agents.store.models import AgentTable, AgentVersionTable, FileTable, MessageTable, ThreadTable
from ai_agents.store.roles import insert_role
from ai_agents.store.threads import create_thread, delete_thread, fork_thread
from ai_agents.store.totals import find_totals, give_back
from tests.support.examples import FUZZ

USERS = ("ann", "bea", "cy")
LIMITS: UserLimits = {**NO_LIMITS, "files_bytes": 25, "threads": 3, "agent_versions": 3}
STEPS = 120
SEEDS = range(40 if FUZZ else 2)
Step = Callable[[Connection, random.Random], object]


def _any(connection: Connection, chance: random.Random, column: Any, *conditions: Any) -> Any:
    found = connection.scalars(select(column).where(*conditions).order_by(column)).all()
    return chance.choice(found) if found else None


def _make_agent(connection: Connection, chance: random.Random) -> None:
    create_agent(connection, {"name": "a"}, owner_id=chance.choice(USERS), limits=LIMITS)


def _change_agent(connection: Connection, chance: random.Random) -> None:
    if agent_id := _any(connection, chance, AgentTable.id, AgentTable.deleted_at.is_(None)):
        changes: Any = {"description": str(chance.randrange(3))}
        update_agent(connection, agent_id, changes, user_id=chance.choice(USERS), limits=LIMITS)


def _delete_agent(connection: Connection, chance: random.Random) -> None:
    if agent_id := _any(connection, chance, AgentTable.id, AgentTable.deleted_at.is_(None)):
        delete_agent(connection, agent_id)


def _make_thread(connection: Connection, chance: random.Random) -> None:
    if agent_id := _any(connection, chance, AgentTable.id, AgentTable.deleted_at.is_(None)):
        said = [{"role": "user", "content": "Hello!"}]
        create_thread(connection, agent_id, messages=said, owner_id=chance.choice((*USERS, None)), limits=LIMITS)


def _fork_thread(connection: Connection, chance: random.Random) -> None:
    usable = ThreadTable.agent_id.in_(select(AgentTable.id).where(AgentTable.deleted_at.is_(None)))
    if thread_id := _any(connection, chance, ThreadTable.id, usable):
        message_id = connection.scalar(select(MessageTable.id).where(MessageTable.thread_id == thread_id))
        fork_thread(connection, thread_id, str(message_id), owner_id=chance.choice(USERS), limits=LIMITS)


def _pass_thread_on(connection: Connection, chance: random.Random) -> None:
    if thread_id := _any(connection, chance, ThreadTable.id):
        place: Any = {"resource_type": "thread", "resource_id": thread_id}
        insert_role(connection, user_id=f"friend {chance.random()}", role="owner", **place)


def _delete_thread(connection: Connection, chance: random.Random) -> None:
    if thread_id := _any(connection, chance, ThreadTable.id):
        delete_thread(connection, thread_id)


def _add_file(connection: Connection, chance: random.Random) -> None:
    facts: Any = {"filename": "a", "media_type": "text/plain", "sha256": f"{chance.randrange(3):064}", "facts": {}}
    files.insert_file(connection, chance.choice(USERS), size_bytes=chance.randrange(20), limits=LIMITS, **facts)


def _delete_file(connection: Connection, chance: random.Random) -> None:
    if file_id := _any(connection, chance, FileTable.id):
        deleted = files.delete_file(connection, file_id)
        give_back(connection, deleted.user_id, deleted.freed)


KINDS: tuple[Step, ...] = (
    _make_agent,
    _change_agent,
    _delete_agent,
    _make_thread,
    _make_thread,
    _fork_thread,
    _pass_thread_on,
    _delete_thread,
    _add_file,
    _add_file,
    _delete_file,
)


def _counted(connection: Connection) -> Mapping[str, Mapping[str, int]]:
    """What there is, counted row by row."""

    def by(column: Any, value: Any, *conditions: Any) -> dict[str, int]:
        found = connection.execute(select(column, value).where(*conditions).group_by(column))
        return {user_id: int(count) for user_id, count in found}

    live = AgentVersionTable.agent_id.in_(select(AgentTable.id).where(AgentTable.deleted_at.is_(None)))
    kinds = {
        "files": by(FileTable.user_id, func.count(), FileTable.deleted_at.is_(None)),
        "files_bytes": by(FileTable.user_id, func.sum(FileTable.size_bytes), FileTable.deleted_at.is_(None)),
        "threads": by(ThreadTable.counted_for, func.count()),
        "agent_versions": by(AgentVersionTable.counted_for, func.count(), live),
    }
    return {user: {name: count.get(user, 0) for name, count in kinds.items()} for user in USERS}


@pytest.mark.parametrize("seed", SEEDS)
async def test_totals_are_what_a_count_of_the_rows_gives(database: Database, seed: int) -> None:
    chance, outcomes = random.Random(seed), Counter[str]()
    for _ in range(STEPS):
        step = chance.choice(KINDS)
        try:
            await database.write(lambda c, step=step: step(c, chance))  # type: ignore[misc]  # of the default's type
            outcomes["done"] += 1
        except QuotaExceeded as error:
            outcomes[error.quota] += 1
    assert outcomes.keys() > {"done"}, outcomes
    counted = await database.read(_counted)
    assert {user: await database.read(lambda c, user=user: find_totals(c, user)) for user in USERS} == counted  # type: ignore[misc]
    most = {name: max(totals[name] for totals in counted.values()) for name in ("files_bytes", "threads")}
    assert most["files_bytes"] <= 25
    assert most["threads"] <= 3
