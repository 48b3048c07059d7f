"""Tokens: rows of the table of keys that end with their key and are swept when they have ended."""

from functools import partial

import pytest
from sqlalchemy import Connection, select, update

from ai_agents.store import tokens
from ai_agents.store.access_tables import ApiKeyTable, RevocationTable
from ai_agents.store.database import Database
from ai_agents.store.keys import KeyStore
from ai_agents.store.tokens import TokenStore
from ai_agents.workers.erasure import _remove_own
from tests.present import present

ENDED = "2020-01-01T00:00:00.000000Z"


async def test_of_a_token_only_the_hash_is_kept_and_it_is_swept_when_it_has_ended(database: Database) -> None:
    keys, store = KeyStore(database), TokenStore(database)
    parent = await keys.create("ann")
    other = await keys.create("ann", expires_at=ENDED)
    ended, good = [await store.create("ann", parent_id=parent["id"], expires_in_s=60) for _ in range(2)]
    holder = present(await keys.authenticate(ended["token"]))
    assert (holder["user_id"], holder["admin"], holder["is_token"]) == ("ann", False, True)

    def end(connection: Connection) -> None:
        rows = connection.execute(select(ApiKeyTable.__table__)).all()
        assert not any(each["token"][-20:] in str(row) for each in (ended, good) for row in rows)
        connection.execute(update(ApiKeyTable).where(ApiKeyTable.id == ended["id"]).values(expires_at=ENDED))

    await database.write(end)
    assert await keys.authenticate(ended["token"]) is None

    assert await database.write(tokens.sweep) == 1
    left = set(await database.read(lambda c: c.scalars(select(ApiKeyTable.id)).all()))
    # Keys stay when they have ended: their users see that they have.
    assert left == {parent["id"], other["id"], good["id"]}


async def test_tokens_of_others_are_deleted_with_the_user_whose_key_made_them(
    database: Database,
) -> None:
    keys, store = KeyStore(database), TokenStore(database)
    boss, own = await keys.create("root", admin=True), await keys.create("ann")
    of_ann = await store.create("ann", parent_id=boss["id"], expires_in_s=60)
    kept = await store.create("ann", parent_id=own["id"], expires_in_s=60)

    await database.write(partial(_remove_own, user_id="root"))

    assert await keys.authenticate(of_ann["token"]) is None
    assert await keys.authenticate(kept["token"]) is not None


async def test_however_many_tokens_are_deleted_few_revocations_are_written(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, store = KeyStore(database), TokenStore(database)
    parent = await keys.create("ann")
    monkeypatch.setattr(tokens, "_NAMED_AT_ONCE", 10)
    for _ in range(11):
        await store.create("ann", parent_id=parent["id"], expires_in_s=60)
    assert await store.delete_all("ann") == 11
    for _ in range(11):
        await store.create("ann", parent_id=parent["id"], expires_in_s=60)
    await keys.delete(parent["id"])

    subjects = await database.read(lambda c: c.scalars(select(RevocationTable.subject)).all())
    made = f"made:{parent['id']}"
    assert sorted(subjects) == [f"key:{parent['id']}", made, made]
    assert await database.read(lambda c: c.scalars(select(ApiKeyTable.id)).all()) == []
