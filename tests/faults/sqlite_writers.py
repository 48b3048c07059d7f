"""Writers on one SQLite file, as a program: `python -m tests.faults.sqlite_writers <url> <writers> <seconds>`.

Each adds one to a number again and again, as short and as long work. Prints how often that was, and what failed.
"""

import asyncio
import json
import sys
import time
from collections import Counter

from sqlalchemy import Connection, text

from ai_agents.core.exceptions import AIAgentsError
from ai_agents.store.database import Database


def add_one(connection: Connection) -> None:
    """Read a number, and write it plus one, which loses updates unless writers wait for each other."""
    found = connection.execute(text("SELECT value FROM counted")).scalar_one()
    connection.execute(text("UPDATE counted SET value = :value"), {"value": found + 1})


async def write(database: Database, number: int, until: float, failed: Counter[str]) -> int:
    """Write until then."""
    done = 0
    while time.monotonic() < until:
        try:
            await database.write(add_one, long=number % 5 == 0)
            done += 1
            await database.read(
                lambda c: c.execute(text("SELECT value FROM counted")).scalar_one(), long=number % 2 == 0
            )
        except AIAgentsError as error:
            failed[f"{type(error).__name__}: {error.__cause__}"] += 1
    return done


async def main(url: str, writers: int, seconds: float) -> None:
    """All writers of this process, on one handle."""
    database, failed = Database(url), Counter[str]()
    until = time.monotonic() + seconds
    done = await asyncio.gather(*(write(database, number, until, failed) for number in range(writers)))
    await database.close()
    print(json.dumps({"done": sum(done), "least": min(done), "failed": failed}))  # noqa: T201  # for the test


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
