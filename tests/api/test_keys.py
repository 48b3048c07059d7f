"""API keys, and the user that a key identifies."""

import asyncio

import pytest

from tests.api.service import UNKNOWN_ID, Service, check_problem


async def test_an_admin_makes_keys_for_any_user(service: Service) -> None:
    admin = await service.admin()

    response = await admin.post("/keys", json={"user_id": "carol", "name": "laptop"})

    key = response.json()
    assert response.status_code == 201
    assert key["key"].startswith(key["prefix"])
    me = await admin.get("/me", headers={"authorization": f"Bearer {key['key']}"})
    assert me.json() == {"user_id": "carol", "admin": False}
    listed = (await admin.get("/keys")).json()["data"]
    assert [each["id"] for each in listed] == [key["id"]]
    assert "key" not in listed[0]


async def test_an_admin_key_may_do_everything(service: Service) -> None:
    admin = await service.admin()
    key = (await admin.post("/keys", json={"user_id": "root", "admin": True})).json()

    me = await admin.get("/me", headers={"authorization": f"bearer {key['key']}"})

    assert me.json() == {"user_id": "root", "admin": True}


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
async def test_a_key_of_no_form_is_refused(small_service: Service, body: dict[str, object]) -> None:
    admin = await small_service.admin()

    check_problem(await admin.post("/keys", json=body), 422, "invalid_request")
    assert (await admin.get("/keys")).json()["data"] == []


async def test_an_almost_right_key_is_refused(service: Service) -> None:
    alice = await service.user("alice")
    key = (await alice.post("/keys", json={})).json()["key"]

    near = [key[:-1] + ("A" if key[-1] != "A" else "B"), key[:-1], key + "A", key.upper(), f"{key} {key}"]
    answers = await asyncio.gather(*(alice.get("/me", headers={"authorization": f"Bearer {each}"}) for each in near))

    for response in answers:
        check_problem(response, 401, "unauthorized")
