"""What all doors have in common: errors in the form of their clients, foreign ids, and pages of other origins."""

import asyncio
import json
from pathlib import Path

import pytest

from ai_agents.store.foreign_ids import ForeignId, OtherAgent, find
from app.doors.base import is_retry
from app.doors.threads import find_thread, thread_for
from app.services.identity import Principal
from tests.api.live import Live
from tests.api.service import UNKNOWN_ID, Service, check_problem, make_agent, make_thread, open_service, settings_for
from tests.doors.support import check_openai_error

DOOR = "chat"


async def test_every_refusal_below_v1_has_openais_form_whoever_refuses(sqlite_url: str, tmp_path: Path) -> None:
    settings = settings_for(sqlite_url, tmp_path, max_requests_per_minute=2, hosts="service")
    async with open_service(settings) as service:
        anonymous, alice, bob = await service.anonymous(), await service.user("alice"), await service.user("bob")

        missing = check_openai_error(await anonymous.get("/v1/models"), 401, "unauthorized")
        check_openai_error(await alice.get("/v1/nothing"), 404, "not_found")
        wrong_method = await alice.put("/v1/models")
        check_openai_error(await alice.get("/v1/models", headers={"x-padding": "x" * 40_000}), 413, "payload_too_large")
        check_openai_error(await alice.get("/v1/models", headers={"host": "elsewhere"}), 400, "invalid_host")
        for _ in range(2):
            assert (await bob.get("/v1/models?from=somewhere")).status_code == 200
        limited = await bob.get("/v1/models")
        service.app.state.overload.share = 1.0
        check_openai_error(await alice.get("/v1/models"), 503, "overloaded")
        check_problem(await alice.get("/agents"), 503, "overloaded")

    assert missing["type"] == "authentication_error"
    check_openai_error(wrong_method, 405, "method_not_allowed")
    assert wrong_method.headers["allow"] == "GET"
    assert check_openai_error(limited, 429, "rate_limited")["type"] == "rate_limit_error"
    assert int(limited.headers["retry-after"]) > 0
    # Nothing was stored, so the client may send it again.
    assert "x-should-retry" not in limited.headers


async def test_what_is_refused_before_it_is_a_request_has_openais_form_below_v1(small_live: Live) -> None:
    forms = {}
    for path in ("/v1/models", "/agents"):
        host, port = small_live.server.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {path} HTTP/1.1\r\nhost: here\r\nno header\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        assert answer.startswith("HTTP/1.1 400 ")
        forms[path] = json.loads(answer.partition("\r\n\r\n")[2])

    assert forms["/v1/models"]["error"]["code"] == forms["/agents"]["code"] == "invalid_request"


async def test_a_page_of_a_named_origin_may_send_what_openais_sdk_sends(sqlite_url: str, tmp_path: Path) -> None:
    page = "https://chat.example.com"
    asked = "authorization,content-type,x-stainless-lang,x-stainless-retry-count,x-thread-id"
    async with open_service(settings_for(sqlite_url, tmp_path, cors_origins=page)) as service:
        alice = await service.user("alice")
        preflight = {"access-control-request-method": "POST", "access-control-request-headers": asked, "origin": page}
        allowed = await alice.options("/v1/models", headers=preflight)
        answer = await alice.get("/v1/models", headers={"origin": page})

    assert allowed.status_code == 200, allowed.text
    assert {"x-thread-id", "x-run-id"} <= set(answer.headers["access-control-expose-headers"].split(", "))


async def test_a_foreign_id_stands_for_one_thread_of_one_user_and_agent_as_long_as_that_is_there(
    service: Service,
) -> None:
    container = service.container
    owner, other = await service.user("alice"), await service.user("bob")
    agent, another = await make_agent(owner), await make_agent(owner)
    foreign = await make_thread(other)
    alice, bob = Principal("alice", is_admin=False, token=""), Principal("bob", is_admin=False, token="")

    for name in ("chat-1", "Gespräch 🧵 " + "x" * 10_000, UNKNOWN_ID, foreign["id"]):
        assert await find_thread(container, alice, DOOR, name) is None
        found = await asyncio.gather(*(thread_for(container, alice, DOOR, name, agent["id"]) for _ in range(5)))
        assert len(set(found)) == 1, name
        assert await find_thread(container, bob, "other", name) is None or name == foreign["id"]
        with pytest.raises(OtherAgent):
            await thread_for(container, alice, DOOR, name, another["id"])
        # One's own thread is meant by its own id, too.
        assert await thread_for(container, alice, DOOR, found[0], agent["id"]) == found[0]
        assert await thread_for(container, alice, "other", found[0], agent["id"]) == found[0]
        await container.threads.delete(found[0])
        assert await find_thread(container, alice, DOOR, name) is None
        assert await thread_for(container, alice, DOOR, name, another["id"]) != found[0]

    assert (await owner.get("/threads")).json()["data"][0]["agent_id"] == another["id"]


async def test_a_users_foreign_ids_are_erased_with_the_user(small_service: Service) -> None:
    container = small_service.container
    alice, admin = await small_service.user("alice"), await small_service.admin()
    agent = await make_agent(alice)
    await thread_for(container, Principal("alice", is_admin=False, token=""), DOOR, "chat", agent["id"])

    job = (await admin.delete("/users/alice")).json()
    receipt = await container.job_runner.run(job["id"])
    found = await container.conn.database.read(lambda c: find(c, ForeignId("alice", DOOR, "chat")))

    assert found is None, receipt


@pytest.mark.parametrize(
    "count, repeats", [(None, False), ("0", False), ("1", True), ("2", True), ("x", False), ("-1", False)]
)
def test_a_client_says_how_often_it_has_sent_a_request(count: str | None, repeats: bool) -> None:
    assert is_retry(count) is repeats


async def test_an_agent_is_a_model_by_its_id_and_by_a_name_that_it_alone_has(small_service: Service) -> None:
    alice, bob = await small_service.user("alice"), await small_service.user("bob")
    agent = await make_agent(alice, name="team/helper", description="Helps.")
    await make_agent(alice, name="twin")
    await make_agent(alice, name="twin")
    await make_agent(bob, name="team/helper")

    listed = (await alice.get("/v1/models")).json()
    by_id = (await alice.get(f"/v1/models/{agent['id']}")).json()
    by_name = (await alice.get("/v1/models/team/helper")).json()
    encoded = (await alice.get("/v1/models/team%2Fhelper")).json()

    assert listed["object"] == "list"
    assert [model["name"] for model in listed["data"]] == ["twin", "twin", "team/helper"]
    assert by_id == by_name == encoded == listed["data"][2]
    assert {"id": agent["id"], "object": "model", "description": "Helps."}.items() <= by_id.items()
    check_openai_error(await alice.get("/v1/models/twin"), 400, "invalid_request")
    error = check_openai_error(await bob.get(f"/v1/models/{agent['id']}"), 404, "model_not_found")
    assert error["param"] == "model"
