"""API keys: shown once, found by their id, valid until they expire or are deleted."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from ai_agents.core.exceptions import InvalidCursor, InvalidRequest, KeyNotFound
from ai_agents.core.ids import new_id
from ai_agents.store.database import Database
from ai_agents.store.keys import KeyStore
from ai_agents.store.models import ApiKeyTable


@pytest.fixture
def keys(database: Database) -> KeyStore:
    """The keys of the database."""
    return KeyStore(database)


async def test_a_key_is_shown_once_and_only_its_hash_is_kept(keys: KeyStore, database: Database) -> None:
    new = await keys.create("ann", "laptop", admin=True)
    key = new["key"]
    made = {name: value for name, value in new.items() if name != "key"}
    assert list(made) == ["id", "user_id", "name", "prefix", "admin", "created_at", "expires_at"]
    assert key.startswith(new["prefix"] + "_")
    assert len(key) == 70
    assert (await keys.list())["data"] == [made]
    stored = await database.read(lambda c: c.execute(select(*ApiKeyTable.__table__.c)).one())
    assert not any(key[27:] in str(value) for value in stored)
    assert await keys.authenticate(key) == {"user_id": "ann", "admin": True, "key_id": made["id"]}


async def test_only_the_whole_key_is_accepted(keys: KeyStore) -> None:
    key = (await keys.create("ann"))["key"]
    other = (await keys.create("bea"))["key"]
    flipped = key[:-2] + ("A" if key[-2] != "A" else "B") + key[-1]
    wrong = ["", key[:-1], key + "x", key.upper(), flipped, other[:27] + key[27:], "x" + key[1:], key.replace("_", "-")]
    wrong += ["aia_" + "A" * 22 + "_" + "A" * 43, "aia_" + "!" * 22 + key[26:], "ü" * 70, key[:26] + "-" + key[27:]]
    for attempt in wrong:
        assert await keys.authenticate(attempt) is None, attempt
    assert await keys.authenticate(key) is not None


async def test_a_key_ends_at_its_time(keys: KeyStore) -> None:
    now = datetime.now(UTC)
    past = await keys.create("ann", expires_at=(now - timedelta(seconds=1)).isoformat())
    soon = await keys.create("ann", expires_at=(now + timedelta(hours=1)).isoformat())
    assert await keys.authenticate(past["key"]) is None
    assert await keys.authenticate(soon["key"]) is not None
    far = await keys.create("ann", expires_at="2099-12-31T23:00:00-05:00")
    assert far["expires_at"] == "2100-01-01T04:00:00.000000Z"
    ancient = await keys.create("ann", expires_at="0999-01-01T00:00:00Z")
    assert ancient["expires_at"] == "0999-01-01T00:00:00.000000Z"
    assert await keys.authenticate(ancient["key"]) is None


async def test_what_is_no_time_or_no_user_is_refused(keys: KeyStore) -> None:
    for time in ("", "tomorrow", "2099-12-31", "2099-12-31T00:00:00", "9999-12-31T23:59:59-10:00"):
        with pytest.raises(InvalidRequest):
            await keys.create("ann", expires_at=time)
    with pytest.raises(InvalidRequest):
        await keys.create("")
    assert (await keys.list())["data"] == []


async def test_a_deleted_key_is_refused_from_then_on(keys: KeyStore) -> None:
    made = await keys.create("ann")
    for attempt in (keys.delete(made["id"], user_id="bea"), keys.delete(new_id()), keys.delete("nonsense")):
        with pytest.raises(KeyNotFound):
            await attempt
    assert await keys.authenticate(made["key"]) is not None
    await keys.delete(made["id"], user_id="ann")
    assert await keys.authenticate(made["key"]) is None
    with pytest.raises(KeyNotFound):
        await keys.delete(made["id"])


async def test_users_list_their_own_keys_newest_first_in_pages(keys: KeyStore) -> None:
    ids = [(await keys.create(user))["id"] for user in ("ann", "bea", "ann", "ann")]
    assert [key["id"] for key in (await keys.list())["data"]] == ids[::-1]
    page = await keys.list("ann", limit=2)
    rest = await keys.list("ann", limit=2, after=page["next"])
    assert [key["id"] for key in page["data"] + rest["data"]] == [ids[3], ids[2], ids[0]]
    assert rest["next"] is None
    with pytest.raises(InvalidCursor):
        await keys.list(after="nonsense")
