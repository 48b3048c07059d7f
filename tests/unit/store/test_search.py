"""Searching messages: the same is found by looking through threads and by an index, in every state of it."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text, update

from ai_agents.agents import AgentStore
from ai_agents.core.exceptions import InvalidCursor, InvalidRequest
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.scopes import AgentScope
from ai_agents.core.search_rows import SearchPage
from ai_agents.core.search_words import fold, parse_query
from ai_agents.core.types import TextPart
from ai_agents.store import search, search_candidates, search_costs, search_index
from ai_agents.store.database import Database
from ai_agents.store.message_store import MessageStore
from ai_agents.store.messages import insert_message, place_message
from ai_agents.store.models import MessageTable
from ai_agents.store.pages import encode_cursor
from ai_agents.store.roles import RoleStore
from ai_agents.store.search_costs import Costs
from ai_agents.store.search_threads import Search
from ai_agents.store.threads import ThreadStore, create_thread
from tests.support.examples import FUZZ

WORDS = ["sea", "Straße", "北京", "👍🏽", "İz", "blue", "see"]


async def ids(store: MessageStore, q: str, user_id: str | None, **where: Any) -> list[str]:
    """What is found, from page to page."""
    found: list[str] = []
    after = None
    while True:
        page = await store.search(q, user_id=user_id, limit=3, after=after, **where)
        found += [hit["message"]["id"] for hit in page["data"]]
        if (after := page["next"]) is None:
            return found


def expected(texts: dict[str, str], q: str) -> set[str]:
    query = parse_query(q)
    return {
        message_id
        for message_id, said in texts.items()
        if all(phrase in fold(said) for phrase in query.phrases) and not any(p in fold(said) for p in query.excluded)
    }


def some_query(chance: random.Random) -> str:
    words = chance.choices(WORDS, k=chance.randint(1, 3))
    if chance.random() < 0.3:
        return f'"{" ".join(words)}"'
    return " ".join([words[0], *(chance.choice(("", "-")) + word for word in words[1:])])


def _look_through(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(search_candidates, "FEW_THREADS", 1_000)


def _ask_index(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(search_candidates, "FEW_THREADS", 0)


def _look_then_ask_index(patch: pytest.MonkeyPatch, *, of_own: bool | None) -> None:
    """None: look on, a few threads at a time."""
    patch.setattr(search_candidates, "FEW_THREADS", 1)
    patch.setattr(search_candidates, "_MORE_ROWS", 11)
    patch.setattr(Costs, "is_rare", False)
    patch.setattr(Costs, "way_of_index", lambda _self, **_known: of_own)


def _ways(database: Database) -> list[Callable[[pytest.MonkeyPatch], None]]:
    """All ways of a search: PostgreSQL has more than SQLite."""
    more = [partial(_look_then_ask_index, of_own=of_own) for of_own in (True, False, None)]
    return [_look_through, _ask_index, *(more if database.dialect == "postgresql" else ())]


async def test_what_is_found_is_the_same_in_every_way_and_nothing_of_others(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(3)  # the same texts each time
    threads, store, agent = ThreadStore(database), MessageStore(database), await AgentStore(database).create("a")
    texts: dict[str, dict[str, str]] = {"ann": {}, "bob": {}}
    made: list[tuple[str, str]] = []

    async def write() -> None:
        for user_id in ("ann", "bob", "ann"):
            said = [" ".join(chance.choices(WORDS, k=chance.randint(1, 12))) for _ in range(5)]
            thread = await threads.create(
                agent["id"], messages=[{"role": "user", "content": each} for each in said], owner_id=user_id
            )
            made.append((user_id, thread["id"]))
            texts[user_id] |= {each["id"]: each["content"] for each in (await store.list(thread["id"]))["data"]}

    async def compare() -> None:
        for _ in range(40 if FUZZ else 4):
            q, user_id = some_query(chance), chance.choice(("ann", "bob"))
            wanted, found = expected(texts[user_id], q), []
            for way in _ways(database):
                with monkeypatch.context() as patch:
                    way(patch)
                    found = await ids(store, q, user_id)
                assert (set(found), len(found)) == (wanted, len(wanted)), (q, way)
            assert found == await _by_score(store, q, user_id), "the order is that of one page"

    await write()
    await compare()
    await database.write(search_index.tend)
    await compare()
    await write()
    await database.write(search_index.tend)
    await write()
    await compare()
    # One in the index and one that is not there yet are deleted, and another one is changed.
    for user_id, thread_id in (made[0], made[-1]):
        for each in (await store.list(thread_id))["data"]:
            del texts[user_id][each["id"]]
        await threads.delete(thread_id)
    changed = next(iter(texts["bob"]))
    values = {"parts": [{"type": "text", "text": "other"}], "search": fold("other")}
    await database.write(lambda c: c.execute(update(MessageTable).where(MessageTable.id == changed).values(values)))
    texts["bob"][changed] = "other"
    await compare()
    assert await ids(store, "other", "bob") == [changed]
    if database.dialect == "sqlite":
        # It numbers the rows anew.
        with closing(sqlite3.connect(str(database.url.database))) as connection:
            connection.execute("VACUUM")
    await compare()
    await write()
    await database.write(search_index.tend)
    await compare()
    assert await ids(store, "other", "bob") == [changed]


async def _by_score(store: MessageStore, q: str, user_id: str) -> list[str]:
    return [hit["message"]["id"] for hit in (await store.search(q, user_id=user_id, limit=100))["data"]]


def _say(connection: Connection, thread_id: str, said: str, seq: int | None = None) -> str:
    message_id = new_id()
    insert_message(
        connection,
        message_id=message_id,
        thread_id=thread_id,
        run_id=None,
        seq=seq,
        role="user",
        parts=[TextPart(said)],
        created_at=utc_now(),
        status="queued" if seq is None else "completed",
    )
    return message_id


async def test_one_finds_what_one_may_read_of_the_agents_that_are_asked_for(database: Database) -> None:
    agents, threads, roles = AgentStore(database), ThreadStore(database), RoleStore(database)
    store = MessageStore(database)
    one, other = (await agents.create("one"))["id"], (await agents.create("other"))["id"]
    place: dict[str, str] = {}
    for name, agent_id, owner in (("a", one, "ann"), ("b", other, "ann"), ("c", one, "bob"), ("d", one, "bob")):
        thread = await threads.create(
            agent_id, title=name, messages=[{"role": "user", "content": f"canary {name}"}], owner_id=owner
        )
        place[name] = thread["id"]
    canary = [{"role": "user", "content": "canary of a temporary thread"}]
    await database.write(
        lambda c: create_thread(c, one, messages=canary, owner_id="ann", expires_at="2100-01-01T00:00:00.000000Z")
    )
    await roles.assign("ann", "viewer", "thread", place["c"])
    await roles.assign("*", "viewer", "thread", place["d"])

    async def found(**where: Any) -> set[str | None]:
        where = {"user_id": "ann"} | where
        return {hit["thread"]["title"] for hit in (await store.search("canary", **where))["data"]}

    assert await found() == {"a", "b", "c"}
    assert await found(shared=True) == await found(user_id=None) == {"a", "b", "c", "d"}
    assert await found(agent_id=one) == await found(within=AgentScope("token", frozenset({one}))) == {"a", "c"}
    assert await found(thread_id=place["b"]) == {"b"}
    assert await found(thread_id=place["d"]) == await found(user_id="eve") == set()
    assert await found(user_id="eve", shared=True) == {"d"}
    (role,) = [each for each in (await roles.list("thread", place["c"]))["data"] if each["user_id"] == "ann"]
    await roles.remove(role["id"])
    assert await found() == {"a", "b"}


async def test_best_is_what_has_it_often_for_its_length_then_what_is_newest(database: Database, agent_id: str) -> None:
    store = MessageStore(database)
    said = ["blue " + "and so on " * 50, "blue sea", "blue blue sea", "blue sky"]
    await ThreadStore(database).create(agent_id, messages=[{"role": "user", "content": each} for each in said])
    page = await store.search("blue")

    assert [hit["message"]["content"] for hit in page["data"]] == [said[2], said[3], said[1], said[0]]
    assert page["next"] is None
    assert "incomplete" not in page
    first = await store.search("blue", limit=1)
    for cursor in (f"{first['next']}x", "W10", encode_cursor("search", True, new_id())):
        with pytest.raises(InvalidCursor):
            await store.search("blue", after=cursor)
    with pytest.raises(InvalidRequest):
        await store.search("-blue")


async def test_only_the_history_is_searched_and_no_results_of_tools(database: Database, thread_id: str) -> None:
    store = MessageStore(database)
    queued = await database.write(lambda c: _say(c, thread_id, "blue"))
    assert await ids(store, "blue", None) == []
    await database.write(lambda c: place_message(c, queued, 1))
    assert await ids(store, "blue", None) == [queued]
    agent_id = (await ThreadStore(database).get(thread_id))["agent_id"]
    call = {"type": "tool_call", "tool_call_id": "c", "name": "calculator", "arguments": {"of": "blue"}}
    result = {"type": "tool_result", "tool_call_id": "c", "name": "calculator", "result": "blue", "is_error": False}
    await ThreadStore(database).create(
        agent_id, messages=[{"role": "assistant", "content": [call]}, {"role": "tool", "content": [result]}]
    )
    assert await ids(store, "blue", None) == [queued]


async def test_messages_of_older_versions_are_found_once_they_are_indexed(
    database: Database, thread_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_index, "_FILL_ROWS", 2)
    store = MessageStore(database)
    for number in range(1, 6):
        await database.write(partial(_say, thread_id=thread_id, said=f"old blue {number}", seq=number))
    await database.write(lambda c: c.execute(update(MessageTable).values(search=None)))
    assert await store.search("old") == {"data": [], "next": None, "incomplete": True}
    new = await database.write(lambda c: _say(c, thread_id, "new blue", 6))
    assert await ids(store, "blue", None) == [new]

    assert [await database.write(search_index.fill) for _ in range(4)] == [2, 2, 1, 0]
    for way in _ways(database):
        with monkeypatch.context() as patch:
            way(patch)
            page = await store.search("blue")
        assert (len(page["data"]), page.get("incomplete")) == (6, None)


def _many_words() -> str:
    """Each word another one, of the letters that take most bytes."""
    letters = [chr(0x10400 + number) for number in range(80)]
    words = ("".join(letters[(number // 80**place) % 80] for place in range(3)) * 2 for number in range(14_000))
    return " ".join(words)


@pytest.mark.parametrize("of", [lambda: "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 100_000, _many_words])
async def test_no_text_fails_the_transaction_of_its_message(
    database: Database, thread_id: str, of: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = of()
    message_id = await database.write(lambda c: _say(c, thread_id, said, 1), long=True)
    await database.write(search_index.tend, long=True)
    _ask_index(monkeypatch)

    assert await ids(MessageStore(database), fold(said).split()[-1], None) == [message_id]
    await ThreadStore(database).delete(thread_id)
    assert await ids(MessageStore(database), fold(said).split()[-1], None) == []


async def test_a_search_that_takes_too_long_is_given_up_and_says_so(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(postgresql_url)
    store = MessageStore(database)
    monkeypatch.setattr(search, "_TIMEOUT_MS", 50)
    monkeypatch.setattr(search_candidates, "find", lambda c, _asked: c.execute(select(func.pg_sleep(20))).all())
    with pytest.raises(InvalidRequest, match="takes too long") as caught:
        await store.search("blue")
    assert caught.value.loc == ("q",)
    monkeypatch.undo()

    # Neither the pool's connection nor the caller's transaction keeps the limit.
    async with database.transaction():
        assert (await store.search("blue"))["data"] == []
        assert await database.read(lambda c: c.scalar(text("SHOW statement_timeout"))) == "0"
    assert await database.read(lambda c: c.scalar(text("SHOW statement_timeout"))) == "0"
    await database.close()


async def test_a_page_has_whole_messages_with_their_thread_and_snippet(database: Database, agent_id: str) -> None:
    thread = await ThreadStore(database).create(
        agent_id, title="Trips", messages=[{"role": "user", "content": "Die Straße nach Köln"}]
    )
    store = MessageStore(database)
    (message,) = (await store.list(thread["id"]))["data"]
    page: SearchPage = await store.search("koln strasse")

    snippet = {"text": "Die Straße nach Köln", "marks": [[4, 10], [16, 20]]}
    thread_name = {"id": thread["id"], "title": "Trips"}
    assert page == {"data": [{"message": message, "thread": thread_name, "snippet": snippet}], "next": None}


async def test_of_many_hits_in_many_threads_every_way_finds_the_same_and_rights_count_at_once(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(postgresql_url)
    threads, roles, store = ThreadStore(database), RoleStore(database), MessageStore(database)
    agent = await AgentStore(database).create("a")
    own, of_bob = [], []
    for number in range(6):
        said: list[Any] = [{"role": "user", "content": f"blue {number} {each}"} for each in range(4)]
        own.append(await threads.create(agent["id"], messages=said, owner_id="ann"))
        of_bob.append(await threads.create(agent["id"], messages=said, owner_id="bob"))
    await roles.assign("ann", "viewer", "thread", of_bob[5]["id"])
    monkeypatch.setattr(search_candidates, "MOST_FOUND", 10)

    async def found() -> list[tuple[str, str]]:
        data = (await store.search("blue", user_id="ann", limit=100))["data"]
        return sorted((hit["thread"]["id"], hit["message"]["content"]) for hit in data)

    async def in_every_way() -> list[tuple[str, str]]:
        each_way = []
        for way in _ways(database)[1:]:
            with monkeypatch.context() as patch:
                way(patch)
                each_way.append(await found())
        assert [each for each in each_way if each != each_way[0]] == []
        return each_way[0]

    newest = [(each["id"], f"blue {number} {n}") for each, number in ((own[5], 5), (of_bob[5], 5)) for n in range(4)]
    assert await in_every_way() == sorted([*newest, *((own[4]["id"], f"blue 4 {n}") for n in (2, 3))])
    (role,) = [r for r in (await roles.list("thread", of_bob[5]["id"]))["data"] if r["user_id"] == "ann"]
    await roles.remove(role["id"])
    await threads.delete(own[5]["id"])
    assert {thread_id for thread_id, _ in await in_every_way()} == {own[4]["id"], own[3]["id"], own[2]["id"]}
    await database.close()


async def test_where_the_index_takes_too_long_threads_are_looked_through(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(postgresql_url)
    agent = await AgentStore(database).create("a")
    for _ in range(3):
        said: list[Any] = [{"role": "user", "content": "blue"}]
        await ThreadStore(database).create(agent["id"], messages=said, owner_id="ann")
    slow = select(func.pg_sleep(20), func.pg_sleep(20))
    monkeypatch.setattr(search_candidates._Many, "_from_tsvector", lambda _self, **_how: slow)
    monkeypatch.setattr(search_candidates, "_INDEX_MS", 20)
    for way in (_ask_index, partial(_look_then_ask_index, of_own=True)):
        with monkeypatch.context() as patch:
            way(patch)
            page = await MessageStore(database).search("blue", user_id="ann")
        assert (len(page["data"]), page.get("incomplete")) == (3, None)
    await database.close()


def test_the_way_is_the_quickest_by_how_often_words_are_and_how_many_hits_there_were() -> None:
    seen = {"missing": 1_000, "rows": 4_000, "threads": 200}
    assert Costs(1e6, 1e-5, 10_000).is_rare
    assert Costs(0.0, 0.0, 10_000).is_rare, "without statistics"
    frequent = Costs(1e6, 0.2, 10_000)
    assert not frequent.is_rare
    assert frequent.way_of_index(hits=800, **seen) is None, "the newest are soon enough"
    assert frequent.way_of_index(hits=1, **seen) is True, "others have it, too"
    assert Costs(1e6, 0.01, 10_000).way_of_index(hits=0, **seen) is False
    assert Costs(1e9, 0.2, 2_000).way_of_index(hits=0, **seen) is None, "the index would take minutes"
    assert Costs(1e6, 0.01, None).way_of_index(hits=1, **seen) is False, "all threads are searched"


async def test_how_often_words_are_is_known_from_what_the_database_has_counted(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    agent = await AgentStore(database).create("a")
    said: list[Any] = [{"role": "user", "content": f"blue{' sea' * (n % 4 == 0)}"} for n in range(200)]
    await ThreadStore(database).create(agent["id"], messages=said, owner_id="ann")
    asked = Search(parse_query("x"), "ann")

    async def costs(*words: str) -> Costs:
        return await database.read(lambda c: search_costs.estimate(c, asked, words))

    assert await costs("blue") == Costs(0.0, 0.0, 1)
    await database.write(lambda c: c.execute(text("ANALYZE messages")))
    both, nowhere = await costs("blue", "sea"), await costs("nowhere")
    assert (both.messages, round(both.part, 3)) == (200.0, 0.25)
    assert nowhere.part < 0.03
    await database.close()
