"""Access: the same rules on every route, for all routes that exist."""

import re
from collections.abc import Iterator

import httpx
import pytest
from fastapi.routing import APIRoute

from app.doors.listed import door_at
from app.main import ROUTERS
from app.responses import JSON
from tests.api.declared import document
from tests.api.service import UNKNOWN_ID, Service, check_problem, give_role, make_agent, make_thread, raw_header

OPEN = {"/livez", "/readyz"}
# Answers about things that do not exist and that the user may not see are compared byte by byte.
SAME_REQUEST = {"x-request-id": "the-same-one"}


def routes() -> Iterator[tuple[str, str]]:
    for module in ROUTERS:
        for route in module.router.routes:
            assert isinstance(route, APIRoute)
            for method in route.methods or ():
                yield method, route.path_format


ALL = sorted(routes())
CLOSED = [(method, path) for method, path in ALL if path not in OPEN]
OF_THREADS = [(method, path) for method, path in CLOSED if path.startswith("/threads/{thread_id}")]
OF_AGENTS = [(method, path) for method, path in CLOSED if path.startswith("/agents/{agent_id}")]
WITH_BODY = [
    (method.upper(), path)
    for path, operations in document()["paths"].items()
    for method, operation in operations.items()
    if JSON in operation.get("requestBody", {}).get("content", {})
]


def fill(path: str, **ids: str) -> str:
    """The path with these ids, and an unknown id for the others."""
    return re.sub(r"{(\w+)}", lambda match: ids.get(match[1], UNKNOWN_ID), path)


async def ask(client: httpx.AsyncClient, method: str, path: str, content: bytes = b"not even JSON") -> httpx.Response:
    headers = SAME_REQUEST | ({"content-type": "application/json"} if method in ("POST", "PUT", "PATCH") else {})
    return await client.request(method, path, headers=headers, content=content if len(headers) > 1 else None)


@pytest.mark.parametrize("method, path", CLOSED)
async def test_every_route_but_health_wants_a_key(shared_service: Service, method: str, path: str) -> None:
    response = await ask(await shared_service.anonymous(), method, fill(path))

    assert response.status_code == 401, response.text
    if door_at(path) is None:  # those of others have errors of another form
        check_problem(response, 401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Basic YWRtaW46YWRtaW4=",
        "admin-key-of-the-tests",
        "Bearer é",
        "Bearer aia_x",
    ],
)
async def test_a_header_without_a_good_key_is_refused(shared_service: Service, header: str) -> None:
    client = await shared_service.anonymous()

    response = await client.get("/me", headers=raw_header("authorization", header))

    check_problem(response, 401, "unauthorized")


@pytest.mark.parametrize("path", sorted(OPEN))
async def test_health_is_open(shared_service: Service, path: str) -> None:
    response = await (await shared_service.anonymous()).get(path)

    assert response.json() == {"status": "ok"}


async def test_a_strangers_thread_looks_like_none(service: Service) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    thread = await make_thread(alice, messages=[{"role": "user", "content": "secret"}])
    message = (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"][0]

    for method, path in OF_THREADS:
        of_alice = await ask(bob, method, fill(path, thread_id=thread["id"], message_id=message["id"]))
        of_nobody = await ask(bob, method, fill(path))
        malformed = await ask(bob, method, fill(path, thread_id="no-id"))
        check_problem(of_alice, 404, "not_found")
        assert of_alice.content == of_nobody.content == malformed.content, (method, path)
    assert (await alice.get(f"/threads/{thread['id']}")).json() == thread


async def test_a_strangers_agent_looks_like_none(service: Service) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    agent = await make_agent(alice)

    for method, path in OF_AGENTS:
        of_alice = await ask(bob, method, fill(path, agent_id=agent["id"]))
        of_nobody = await ask(bob, method, fill(path))
        malformed = await ask(bob, method, fill(path, agent_id=agent["id"].upper()))
        check_problem(of_alice, 404, "not_found")
        assert of_alice.content == of_nobody.content == malformed.content, (method, path)
    assert (await alice.get(f"/agents/{agent['id']}")).json() == agent


async def test_a_bad_body_is_told_before_a_missing_right(service: Service) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    thread = await make_thread(alice)
    answer = (await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi"})).json()
    await give_role(alice, "bob", "viewer", "thread", thread["id"])
    await give_role(alice, "bob", "viewer", "agent", thread["agent_id"])

    key = (await bob.get("/keys")).json()["data"][0]
    ids = {"thread_id": thread["id"], "agent_id": thread["agent_id"], "key_id": key["id"], "name": "echo"}
    # What may not be seen is told before the body.
    ids |= {"run_id": answer["run_id"], "message_id": answer["id"], "tool": "calculator"}

    for method, path in WITH_BODY:
        if "{webhook_id}" in path or door_at(path) is not None:
            continue  # who sees a webhook may change it; errors of doors have other forms
        response = await ask(bob, method, fill(path, **ids))
        check_problem(response, 422, "invalid_request")


async def test_a_request_with_two_keys_is_refused(shared_service: Service) -> None:
    client = await shared_service.anonymous()
    good = (await shared_service.user("alice")).headers["authorization"]

    for path in ("/threads", f"/threads/{UNKNOWN_ID}/events", "/v1/models"):
        for other in (good, "Bearer wrong", ""):
            headers = [("authorization", good), ("authorization", other)]
            assert (await client.get(path, headers=headers)).status_code == 401


async def test_a_deleted_key_is_refused_at_once(service: Service) -> None:
    alice = await service.user("alice")
    key = (await alice.get("/keys")).json()["data"][0]

    assert (await alice.delete(f"/keys/{key['id']}")).status_code == 204

    check_problem(await alice.get("/me"), 401, "unauthorized")


async def test_an_admin_sees_and_changes_what_others_have(service: Service) -> None:
    alice, admin = await service.user("alice"), await service.admin()
    thread = await make_thread(alice)

    assert thread["id"] in [each["id"] for each in (await admin.get("/threads")).json()["data"]]
    assert (await admin.patch(f"/threads/{thread['id']}", json={"title": "Seen"})).json()["title"] == "Seen"
    assert (await admin.delete(f"/agents/{thread['agent_id']}")).status_code == 204
