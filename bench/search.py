"""What a search takes: for the threads of one of a thousand users, and for a user with very many threads."""

import random
import time
from itertools import accumulate, product
from statistics import median, quantiles
from urllib.parse import quote

from sqlalchemy import Connection, insert

from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.table_rows import MessageRow
from ai_agents.store import search_index
from ai_agents.store.access_tables import RoleAssignmentTable
from ai_agents.store.database import Database
from ai_agents.store.messages import insert_messages
from ai_agents.store.models import ThreadTable
from bench.client import Client, Unexpected, request
from bench.processes import ADMIN_KEY
from bench.target import USER, Target
from tests.support.postgres import executor

_USERS = 1_000
# Messages of all users together, and threads of one more user, who has very many.
_MESSAGES = {"postgresql": 1_000_000, "sqlite": 100_000}
_MANY, _MANY_THREADS = "many", {"postgresql": 10_000, "sqlite": 2_000}
_PER_THREAD, _WORDS_EACH = 20, 60
# Threads of one transaction.
_BATCH = 100
# Frequent as words are in a language: the n-th in one of n of the first one's places.
_VOCABULARY = ["".join(syllables) for syllables in product("bdfgklmnprst", "aeiou", ("dor", "fin", "kes", "lom"), "an")]
_WEIGHTS = list(accumulate(1 / rank for rank in range(1, len(_VOCABULARY) + 1)))
# In one of so many messages is a word that few others have.
_RARE_EVERY, _RARE_WORDS = 50, 500
_SEARCHES = 200


async def search(target: Target) -> dict[str, float]:
    """Searches through the service, one after the other: frequent and rare words, phrases, exclusions."""
    dialect, count, took_s = await _write_all(target)
    made = await target.call("POST", "/keys", {"user_id": _MANY}, key=ADMIN_KEY)
    found = {f"search_messages_on_{dialect}": float(count), "search_messages_written_per_s": count / took_s}
    for name, key in (("search", target.key), ("search_in_many_threads", made["key"])):
        for unit, each in zip(("ms", "cpu_ms"), zip(*await _times(target, key), strict=True), strict=True):
            found |= {f"{name}_{unit}_p50": median(each), f"{name}_{unit}_p95": quantiles(each, n=20)[-1]}
    return found


async def _write_all(target: Target) -> tuple[str, int, float]:
    """Threads of all users, written to the database without the service: its kind, how many messages, in what time."""
    database = Database(target.database_url)
    dialect = database.dialect
    agent_id = await target.agent("words-50")
    chance = random.Random(7)  # the same texts each time
    each = _MESSAGES[dialect] // _USERS // _PER_THREAD
    owners = [f"user-{number}" for number in range(1, _USERS) for _ in range(each)] + [USER] * each
    owners += [_MANY] * _MANY_THREADS[dialect]
    chance.shuffle(owners)
    began = time.perf_counter()
    for start in range(0, len(owners), _BATCH):
        of_users = owners[start : start + _BATCH]
        await database.write(lambda c, of_users=of_users: _write(c, agent_id, of_users, chance), long=True)  # type: ignore[misc]  # of the default's type
    took_s = time.perf_counter() - began
    while await database.write(search_index.tend, long=True):
        pass
    await database.close()
    if dialect == "postgresql":
        # As the database does by itself in time.
        with executor(target.database_url) as execute:
            execute("VACUUM ANALYZE")
    return dialect, len(owners) * _PER_THREAD, took_s


def _write(connection: Connection, agent_id: str, owners: list[str], chance: random.Random) -> None:
    now = utc_now()
    ids = [new_id() for _ in owners]
    thread = {"agent_id": agent_id, "title": "Bench", "title_by": "user", "metadata": {}, "last_seq": _PER_THREAD}
    thread |= {"version": 1, "created_at": now, "updated_at": now, "counted_for": ""}
    connection.execute(insert(ThreadTable), [{"id": thread_id, **thread} for thread_id in ids])
    role = {"role": "owner", "resource_type": "thread", "created_at": now, "listed": True}
    roles = [
        {"id": new_id(), "user_id": owner, "resource_id": of, **role} for owner, of in zip(owners, ids, strict=True)
    ]
    connection.execute(insert(RoleAssignmentTable), roles)
    insert_messages(connection, [_message(thread_id, seq, now, chance) for seq in range(1, 21) for thread_id in ids])


def _message(thread_id: str, seq: int, now: str, chance: random.Random) -> MessageRow:
    words = chance.choices(_VOCABULARY, cum_weights=_WEIGHTS, k=_WORDS_EACH)
    if chance.random() * _RARE_EVERY < 1:
        words.append(f"rare{chance.randrange(_RARE_WORDS)}")
    return {
        "id": new_id(),
        "thread_id": thread_id,
        "run_id": None,
        "seq": seq,
        "role": "assistant",
        "parts": [{"type": "text", "text": " ".join(words)}],
        "status": "completed",
        "user_id": None,
        "usage": None,
        "cost": None,
        "metadata": {},
        "created_at": now,
        "refused": False,
        "superseded": False,
    }


async def _times(target: Target, key: str) -> list[tuple[float, float]]:
    """How long each search takes, and the processor time of the service and the database, in milliseconds."""

    def ran_s() -> float:
        return target.service.ran_s() + target.databases.ran_s()

    chance = random.Random(8)  # the same searches each time
    client = await Client.connect(target.service.port)
    took = []
    for number in range(_SEARCHES):
        frequent, other = chance.choices(_VOCABULARY[:100], k=2)
        kinds = (frequent, f"rare{number}", f'"{frequent} {other}"', f"{frequent} {other} -rare1", f"nowhere{number}")
        asked = request("GET", f"/search?q={quote(kinds[number % len(kinds)])}", key=key)
        began, ran = time.perf_counter(), ran_s()
        answer = await client.send(asked)
        took.append(((time.perf_counter() - began) * 1000, (ran_s() - ran) * 1000))
        if answer.status != 200:
            raise Unexpected(f"a search failed: {answer.status} {answer.tail[-2000:].decode()}")
    client.close()
    return took
