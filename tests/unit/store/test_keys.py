"""API keys: shown once, found by their id, valid until they expire or are deleted."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from ai_agents.core.exceptions import InvalidCursor, InvalidRequest, KeyNotFound, PermissionDenied
from ai_agents.core.ids import new_id
from ai_agents.store.access_tables import ApiKeyTable
from ai_agents.store.database import Database
from ai_agents.store.keys import KeyStore, id_of_environment_key, keep_environment_key
from tests.present import present


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
    holder = await keys.authenticate(key)
    assert holder is not None
    assert (holder["user_id"], holder["admin"], holder["key_id"]) == ("ann", True, made["id"])
    assert (holder["valid_until"], holder["is_token"], holder["agents"]) == (None, False, None)


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


async def test_a_key_ends_no_later_than_the_one_that_made_it(keys: KeyStore) -> None:
    parent = await keys.create("ann", expires_at="2099-01-01T00:00:00Z")
    ends = [None, "2100-01-01T00:00:00Z", "2098-01-01T00:00:00Z"]
    made = [await keys.create("ann", expires_at=end, parent_id=parent["id"]) for end in ends]
    assert [key["expires_at"] for key in made] == [parent["expires_at"]] * 2 + ["2098-01-01T00:00:00.000000Z"]
    endless = await keys.create("ann")
    assert (await keys.create("ann", parent_id=endless["id"]))["expires_at"] is None


async def test_a_key_is_deleted_with_the_one_that_made_it(keys: KeyStore) -> None:
    chain = [await keys.create("ann")]
    for _ in range(40):
        chain.append(await keys.create("ann", parent_id=chain[-1]["id"]))
    other = await keys.create("ann")
    await keys.delete(chain[1]["id"])
    valid = [await keys.authenticate(key["key"]) is not None for key in [*chain, other]]
    assert valid == [True, *[False] * 40, True]
    with pytest.raises(KeyNotFound):
        await keys.create("ann", parent_id=chain[5]["id"])


async def test_no_key_outlives_one_that_is_deleted_while_it_makes_it(keys: KeyStore) -> None:
    for _ in range(10):
        root = await keys.create("ann")
        parent = await keys.create("ann", parent_id=root["id"])
        making = [keys.create("ann", parent_id=parent["id"]) for _ in range(5)]
        made = await asyncio.gather(*making[:3], keys.delete(root["id"]), *making[3:], return_exceptions=True)
        assert all(isinstance(each, dict | KeyNotFound | None) for each in made), made
        assert (await keys.list("ann"))["data"] == []


async def test_a_former_secret_ends_with_its_grace(keys: KeyStore, database: Database) -> None:
    key = await keys.create("ann")
    child = await keys.create("ann", parent_id=key["id"])
    second = await keys.rotate(key["id"], grace_s=1000)
    third = await keys.rotate(key["id"], grace_s=2000)
    secrets = [key["key"], second["key"], third["key"]]
    assert len(set(secrets)) == 3
    found = [present(await keys.authenticate(secret)) for secret in secrets]
    assert {holder["key_id"] for holder in found} == {key["id"]}
    assert found[2]["valid_until"] is None
    assert present(found[0]["valid_until"]) < present(found[1]["valid_until"])
    last = await keys.rotate(key["id"], grace_s=0)
    assert [await keys.authenticate(secret) for secret in secrets] == [None] * 3
    assert await keys.authenticate(last["key"]) is not None
    assert await keys.authenticate(child["key"]) is not None
    await keys.rotate(key["id"], grace_s=1)
    stored = await database.read(lambda c: c.execute(select(ApiKeyTable.old_secrets)).scalars().all())
    assert not any(last["key"][27:] in str(value) for value in stored)
    async with asyncio.timeout(60):
        while await keys.authenticate(last["key"]) is not None:
            await asyncio.sleep(0.1)


async def test_a_key_gives_new_secrets_to_itself_and_to_what_it_made(keys: KeyStore) -> None:
    key = await keys.create("ann", expires_at="2099-01-01T00:00:00Z")
    child = await keys.create("ann", parent_id=key["id"])
    grandchild = await keys.create("ann", parent_id=child["id"])
    endless = await keys.create("ann")
    for allowed in (key, child, grandchild):
        await keys.rotate(allowed["id"], grace_s=0, user_id="ann", by_key_id=key["id"])
    for by, of in ((child, key), (key, endless), (grandchild, child)):
        with pytest.raises(PermissionDenied):
            await keys.rotate(of["id"], grace_s=0, user_id="ann", by_key_id=by["id"])
    with pytest.raises(KeyNotFound):
        await keys.rotate(key["id"], grace_s=0, user_id="bea")


async def test_what_the_environments_admin_key_made_ends_when_that_is_another_one(
    keys: KeyStore, database: Database
) -> None:
    one, two = id_of_environment_key(b"one"), id_of_environment_key(b"two")
    for _ in range(2):
        await database.write(lambda c: keep_environment_key(c, one))
    made = await keys.create("admin", admin=True, parent_id=one)
    for_another = await keys.create("ann")
    assert await keys.authenticate(made["key"]) is not None
    assert {key["id"] for key in (await keys.list())["data"]} == {made["id"], for_another["id"]}
    for unseen in (keys.delete(one), keys.rotate(one, grace_s=0)):
        with pytest.raises(KeyNotFound):
            await unseen
    await database.write(lambda c: keep_environment_key(c, two))
    assert await keys.authenticate(made["key"]) is None
    assert await keys.authenticate(for_another["key"]) is not None
