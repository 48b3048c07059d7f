"""Writers and readers are cancelled at random: nothing that was acknowledged is lost or undone."""

import asyncio
import random
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, insert, select, update

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.ids import utc_now
from ai_agents.store.database import Database
from ai_agents.store.provider_tables import TokenRatioTable
from tests.support.waiting import eventually

ROUNDS, TASKS = 12, 20


@pytest.mark.parametrize("seed", range(3))
async def test_acknowledged_writes_survive_the_cancellation_of_others(database: Database, seed: int) -> None:
    await database.write(_insert_counter)
    chance = random.Random(seed)
    acknowledged: list[int] = []

    async def use() -> None:
        kind = chance.random()
        if kind < 0.5:
            acknowledged.append(await database.write(_count_up(fails=kind < 0.1), long=chance.random() < 0.7))
        elif kind < 0.8:
            await database.read(_count, long=chance.random() < 0.7)
        else:
            async with database.transaction():
                counted = await database.write(_count_up(fails=False))
                if kind < 0.85:
                    raise InvalidRequest
            acknowledged.append(counted)

    async def cancel_some(tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            for _ in range(chance.choice((0, 0, 1, 2))):
                for _ in range(chance.randrange(5)):
                    await asyncio.sleep(0)
                task.cancel()

    async with asyncio.timeout(60):
        for _ in range(ROUNDS):
            tasks = [asyncio.create_task(use()) for _ in range(TASKS)]
            await cancel_some(tasks)
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                assert result is None or isinstance(result, asyncio.CancelledError | InvalidRequest)
        last = await database.write(_count_up(fails=False))
    # Each number was counted once, so no write was overwritten and no acknowledged one was undone.
    assert len(set(acknowledged)) == len(acknowledged) > TASKS
    assert last > max(acknowledged)
    # What a cancelled task has begun still finishes.
    await eventually(lambda: database.checked_out() == 0, what="the connections")


def _insert_counter(connection: Connection) -> None:
    row = {"provider": "p", "model": "m", "ratio": 1.0, "samples": 0, "updated_at": utc_now()}
    connection.execute(insert(TokenRatioTable), row)


def _count(connection: Connection) -> int:
    return connection.execute(select(TokenRatioTable.samples)).scalar_one()


def _count_up(*, fails: bool) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        counted = connection.execute(select(TokenRatioTable.samples).with_for_update()).scalar_one() + 1
        connection.execute(update(TokenRatioTable).values(samples=counted))
        if fails:
            raise InvalidRequest
        return counted

    return work
