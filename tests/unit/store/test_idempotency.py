"""Idempotency keys: a repeated request does nothing new."""

import asyncio

import pytest
from sqlalchemy import update

from ai_agents.core.exceptions import IdempotencyKeyReused, InvalidIdempotencyKey
from ai_agents.core.ids import new_id
from ai_agents.store import idempotency
from ai_agents.store.database import Database
from ai_agents.store.idempotency import Remembered
from ai_agents.store.models import IdempotencyKeyTable


async def test_what_a_request_led_to_is_found_by_its_user_key_and_fingerprint(database: Database) -> None:
    run_id = new_id()
    answer = {"id": "x", "nested": {"b": 1, "a": None}}
    assert await database.write(lambda c: idempotency.remember(c, "ann", "k", "f", run_id=run_id)) is None
    assert await database.write(lambda c: idempotency.remember(c, "bea", "k", "g", answer=answer)) is None
    assert await database.read(lambda c: idempotency.find(c, "ann", "k", "f")) == Remembered(run_id, None)
    assert await database.read(lambda c: idempotency.find(c, "bea", "k", "g")) == Remembered(None, answer)
    assert await database.read(lambda c: idempotency.find(c, "ann", "other", "f")) is None
    assert await database.read(lambda c: idempotency.find(c, "cid", "k", "f")) is None
    with pytest.raises(IdempotencyKeyReused):
        await database.read(lambda c: idempotency.find(c, "ann", "k", "g"))


async def test_the_second_of_two_equal_requests_gets_what_the_first_led_to(database: Database) -> None:
    first, second = new_id(), new_id()
    assert await database.write(lambda c: idempotency.remember(c, "ann", "k", "f", run_id=first)) is None
    again = await database.write(lambda c: idempotency.remember(c, "ann", "k", "f", run_id=second))
    assert again == Remembered(first, None)
    with pytest.raises(IdempotencyKeyReused):
        await database.write(lambda c: idempotency.remember(c, "ann", "k", "other", run_id=second))
    assert await database.read(lambda c: idempotency.find(c, "ann", "k", "f")) == Remembered(first, None)


async def test_of_equal_requests_at_once_one_is_first(database: Database) -> None:
    ids = [new_id() for _ in range(12)]
    results = await asyncio.gather(
        *(database.write(lambda c, i=i: idempotency.remember(c, "ann", "k", "f", run_id=i)) for i in ids)  # type: ignore[misc]  # bound now
    )
    assert results.count(None) == 1
    first = ids[results.index(None)]
    assert {result.run_id for result in results if result is not None} == {first}


async def test_a_request_that_fails_leaves_its_key_unused(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction():
            await database.write(lambda c: idempotency.remember(c, "ann", "k", "f", run_id=new_id()))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await database.read(lambda c: idempotency.find(c, "ann", "k", "f")) is None


async def test_keys_are_forgotten_after_a_day(database: Database) -> None:
    for key in ("old", "new"):
        await database.write(lambda c, k=key: idempotency.remember(c, "ann", k, "f", run_id=new_id()))  # type: ignore[misc]  # bound now
    aged = (
        update(IdempotencyKeyTable)
        .where(IdempotencyKeyTable.key == "old")
        .values(created_at="2026-01-01T00:00:00.000000Z")
    )
    await database.write(lambda c: c.execute(aged))
    assert await database.read(lambda c: idempotency.find(c, "ann", "old", "another")) is None
    run_id = new_id()
    assert await database.write(lambda c: idempotency.remember(c, "ann", "old", "another", run_id=run_id)) is None
    assert await database.read(lambda c: idempotency.find(c, "ann", "old", "another")) == Remembered(run_id, None)
    await database.write(lambda c: c.execute(aged))
    assert await database.write(idempotency.sweep) == 1
    assert await database.write(idempotency.sweep) == 0
    assert await database.read(lambda c: idempotency.find(c, "ann", "new", "f")) is not None
    assert await database.write(lambda c: idempotency.sweep(c, "2999-01-01T00:00:00.000000Z")) == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "a\n", "ü", "\x7f", "\x1f", "a" * 256])
def test_a_key_that_is_not_visible_ascii_is_refused(key: str) -> None:
    with pytest.raises(InvalidIdempotencyKey):
        idempotency.checked_key(key)


@pytest.mark.parametrize("key", ["!", "~", "a" * 255, '{"x":1}'])
def test_any_visible_ascii_is_a_key(key: str) -> None:
    assert idempotency.checked_key(key) == key


def test_a_fingerprint_tells_method_path_and_body_apart() -> None:
    one = idempotency.fingerprint("POST", "/threads", b"{}")
    assert idempotency.fingerprint("post", "/threads", b"{}") == one
    assert len(one) == 64
    others = {
        idempotency.fingerprint("PUT", "/threads", b"{}"),
        idempotency.fingerprint("POST", "/threads/x", b"{}"),
        idempotency.fingerprint("POST", "/threads", b"{} "),
        idempotency.fingerprint("POST", "/threads\n{}", b""),
        idempotency.fingerprint("POST", "/\ud800", b""),
        one,
    }
    assert len(others) == 6
