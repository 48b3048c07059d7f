"""API keys, and the user that a key identifies."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.api.service import UNKNOWN_ID, Service, check_problem, make_thread, open_service, settings_for


async def test_an_admin_makes_keys_for_any_user(service: Service) -> None:
    admin = await service.admin()

    response = await admin.post("/keys", json={"user_id": "carol", "name": "laptop"})

    key = response.json()
    assert response.status_code == 201
    assert key["key"].startswith(key["prefix"])
    me = await admin.get("/me", headers={"authorization": f"Bearer {key['key']}"})
    assert me.json() == {"user_id": "carol", "admin": False, "limits": me.json()["limits"]}
    listed = (await admin.get("/keys")).json()["data"]
    assert [each["id"] for each in listed] == [key["id"]]
    assert "key" not in listed[0]


async def test_an_admin_key_may_do_everything(service: Service) -> None:
    admin = await service.admin()
    key = (await admin.post("/keys", json={"user_id": "root", "admin": True})).json()

    me = await admin.get("/me", headers={"authorization": f"bearer {key['key']}"})

    assert me.json() == {"user_id": "root", "admin": True, "limits": me.json()["limits"]}


async def test_users_make_keys_only_for_themselves(service: Service) -> None:
    alice = await service.user("alice")

    own = await alice.post("/keys", json={"name": "second"})

    assert (own.status_code, own.json()["user_id"]) == (201, "alice")
    check_problem(await alice.post("/keys", json={"user_id": "bob"}), 403, "forbidden")
    check_problem(await alice.post("/keys", json={"admin": True}), 403, "forbidden")


async def test_keys_of_others_are_neither_listed_nor_deleted(service: Service) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    mine = (await alice.get("/keys")).json()["data"]
    same = {"x-request-id": "same"}

    assert {key["user_id"] for key in mine} == {"alice"}
    unseen = await bob.delete(f"/keys/{mine[0]['id']}", headers=same)
    check_problem(unseen, 404, "not_found")
    assert unseen.content == (await bob.delete(f"/keys/{UNKNOWN_ID}", headers=same)).content
    assert (await alice.get("/me")).status_code == 200


async def test_an_expired_key_is_refused(service: Service) -> None:
    alice = await service.user("alice")
    key = await service.container.keys.create("alice", "old", expires_at="2020-01-01T00:00:00Z")

    check_problem(await alice.get("/me", headers={"authorization": f"Bearer {key['key']}"}), 401, "unauthorized")


async def test_a_key_can_expire(service: Service) -> None:
    alice = await service.user("alice")

    key = (await alice.post("/keys", json={"expires_at": "2999-12-31T23:59:59+02:00"})).json()

    assert key["expires_at"] == "2999-12-31T21:59:59.000000Z"


@pytest.mark.parametrize(
    "body",
    [
        {"expires_at": "tomorrow"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2999-01-01T00:00:00"},
        {"expires_at": "2999-01-01"},
        {"expires_at": "9999-12-31T23:59:59-23:59"},
        {"expires_at": "0001-01-01T00:00:00+23:59"},
        {"expires_at": 4102444800},
        {"user_id": "*"},
        {"user_id": ""},
        {"name": None},
        {"admin": "yes"},
    ],
)
async def test_a_key_of_no_form_is_refused(shared_service: Service, body: dict[str, object]) -> None:
    admin = await shared_service.admin()

    check_problem(await admin.post("/keys", json=body), 422, "invalid_request")
    assert (await admin.get("/keys")).json()["data"] == []


async def test_an_almost_right_key_is_refused(service: Service) -> None:
    alice = await service.user("alice")
    key = (await alice.post("/keys", json={})).json()["key"]

    near = [key[:-1] + ("A" if key[-1] != "A" else "B"), key[:-1], key + "A", key.upper(), f"{key} {key}"]
    answers = await asyncio.gather(*(alice.get("/me", headers={"authorization": f"Bearer {each}"}) for each in near))

    for response in answers:
        check_problem(response, 401, "unauthorized")


async def using(service: Service, key: str) -> httpx.AsyncClient:
    client = await service.anonymous()
    client.headers["authorization"] = f"Bearer {key}"
    return client


async def test_a_key_hands_on_its_end_to_the_keys_that_it_makes(service: Service) -> None:
    admin = await service.admin()
    body = {"user_id": "ann", "expires_at": "2099-01-01T00:00:00Z"}
    parent = (await admin.post("/keys", json=body)).json()
    client = await using(service, parent["key"])
    child = (await client.post("/keys", json={"expires_at": "2999-01-01T00:00:00Z"})).json()
    assert child["expires_at"] == parent["expires_at"]
    grandchild = (await (await using(service, child["key"])).post("/keys", json={})).json()

    assert (await admin.delete(f"/keys/{parent['id']}")).status_code == 204

    for key in (parent, child, grandchild):
        check_problem(await (await using(service, key["key"])).get("/me"), 401, "unauthorized")


async def test_keys_that_an_admin_makes_for_others_are_not_deleted_with_the_admins_key(service: Service) -> None:
    admin = await service.admin()
    root = (await admin.post("/keys", json={"user_id": "root", "admin": True})).json()
    by_root = await using(service, root["key"])
    own = (await by_root.post("/keys", json={"admin": True})).json()
    for_ann = (await by_root.post("/keys", json={"user_id": "ann"})).json()

    await admin.delete(f"/keys/{root['id']}")

    check_problem(await (await using(service, own["key"])).get("/me"), 401, "unauthorized")
    assert (await (await using(service, for_ann["key"])).get("/me")).status_code == 200


async def test_a_rotated_key_has_a_new_secret_and_keeps_what_it_made(service: Service) -> None:
    alice, bob, admin = await service.user("alice"), await service.user("bob"), await service.admin()
    key = (await alice.get("/keys")).json()["data"][0]
    child = (await alice.post("/keys", json={})).json()
    path, same = f"/keys/{key['id']}/rotate", {"x-request-id": "same"}

    graced = await alice.post(path, json={"grace_s": 600})
    assert graced.status_code == 200
    assert {name: graced.json()[name] for name in key} == key
    assert graced.json()["key"].startswith(key["prefix"])
    assert (await alice.get("/me")).status_code == 200
    renewed = await using(service, graced.json()["key"])
    assert (await renewed.get("/me")).json()["user_id"] == "alice"

    unseen = await bob.post(path, json={}, headers=same)
    check_problem(unseen, 404, "not_found")
    assert unseen.content == (await bob.post(f"/keys/{UNKNOWN_ID}/rotate", json={}, headers=same)).content
    by_child = await using(service, child["key"])
    check_problem(await by_child.post(path, json={}), 403, "forbidden")
    for wrong in ({"grace_s": -1}, {"grace_s": 604_801}, {"grace_s": "1"}, {"grace": 1}):
        check_problem(await alice.post(path, json=wrong), 422, "invalid_request")

    ended = await admin.post(path, json={})
    assert ended.status_code == 200
    for former in (alice, renewed):
        check_problem(await former.get("/me"), 401, "unauthorized")
    assert (await by_child.get("/me")).status_code == 200


async def test_what_a_former_secret_makes_in_its_grace_ends_with_it(service: Service) -> None:
    """Else a stolen secret would outlive the rotation by a key, a token, a ticket or a secret of its own."""
    alice, admin = await service.user("alice"), await service.admin()
    thread = await make_thread(alice)
    before = (await alice.post("/keys", json={})).json()
    key = (await alice.get("/keys")).json()["data"][-1]
    rotated = await alice.post(f"/keys/{key['id']}/rotate", json={"grace_s": 60})
    assert rotated.status_code == 200
    ends = datetime.now(UTC) + timedelta(seconds=61)

    made = [
        (await alice.post("/keys", json={"expires_at": "2999-01-01T00:00:00Z"})).json(),
        (await alice.post("/tokens", json={"expires_in_s": 86_400})).json(),
        (await alice.post("/tickets", json={"thread_id": thread["id"]})).json(),
    ]
    assert all(datetime.fromisoformat(each["expires_at"]) < ends for each in made)
    check_problem(await alice.post(f"/keys/{key['id']}/rotate", json={}), 403, "forbidden")
    renewed = await using(service, rotated.json()["key"])
    assert (await renewed.post("/keys", json={})).json()["expires_at"] is None
    assert (await renewed.post(f"/keys/{before['id']}/rotate", json={})).json()["expires_at"] is None

    root = (await admin.post("/keys", json={"user_id": "root", "admin": True})).json()
    by_root = await using(service, root["key"])
    await by_root.post(f"/keys/{root['id']}/rotate", json={"grace_s": 60})
    for_ann = (await by_root.post("/keys", json={"user_id": "ann", "admin": True})).json()
    assert datetime.fromisoformat(for_ann["expires_at"]) < ends + timedelta(seconds=60)


async def test_what_a_former_admin_key_made_ends_with_it(database_url: str, tmp_path: Path) -> None:
    async with open_service(settings_for(database_url, tmp_path)) as service:
        admin = await service.admin()
        thread = await make_thread(admin)
        ticket = (await admin.post("/tickets", json={"thread_id": thread["id"]})).json()["ticket"]
        own = (await admin.post("/keys", json={"admin": True})).json()["key"]
        for_ann = (await admin.post("/keys", json={"user_id": "ann"})).json()["key"]
    path = f"/threads/{thread['id']}/events?ticket={ticket}"
    asked = {"accept": "application/json"}
    async with open_service(settings_for(database_url, tmp_path)) as service:
        assert (await (await service.anonymous()).get(path, headers=asked)).status_code == 200
        assert (await (await using(service, own)).get("/me")).status_code == 200
    async with open_service(settings_for(database_url, tmp_path, admin_key="another-admin-key")) as service:
        check_problem(await (await service.anonymous()).get(path, headers=asked), 401, "unauthorized")
        check_problem(await (await using(service, own)).get("/me"), 401, "unauthorized")
        check_problem(await (await service.admin()).get("/me"), 401, "unauthorized")
        assert (await (await using(service, for_ann)).get("/me")).status_code == 200
