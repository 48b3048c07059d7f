"""Users' own headers for tools: each call has those of the user whose run it is, and no place shows them."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import MetaData, select

from ai_agents.core.exceptions import Conflict, InvalidRequest, ToolNotFound
from ai_agents.core.types import ModelEvent, ModelRequest, TextPart
from ai_agents.store.credentials import CredentialStore
from ai_agents.testing import ScriptedProvider, tool_call
from tests.api.service import Service, check_problem, give_role, make_agent, make_thread, open_service, settings_for
from tests.fakes.http_server import Asked, HttpServer, reply, reply_json
from tests.fakes.mcp_wire import TOOL, McpWire
from tests.support.waiting import eventually

SECRETS = {name: f"own-secret-of-{name}-7c1d" for name in ("alice", "bob")}
FIXED = "the-tools-own-header"
TOOL_BODY = {"type": "http", "name": "mail", "description": "Reads mail.", "credentials": "user"}


@pytest.fixture
async def service(one_database_url: str, tmp_path: Path, http: HttpServer) -> AsyncIterator[Service]:
    """A service whose admins' tools may reach the server."""
    async with open_service(settings_for(one_database_url, tmp_path, outbound_allow=http.host)) as opened:
        opened.container.providers.add(Calls())
        yield opened


class Calls(ScriptedProvider):
    """Calls the tool that a message names."""

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """The call, or an end."""
        said = request.messages[-1].parts[0]
        self.answers = [[tool_call(said.text)] if isinstance(said, TextPart) else "Done."]
        async for event in super().stream(request):
            yield event


class Waits(Calls):
    """The same, once it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """The call, or an end."""
        self.reached.set()
        await self.go_on.wait()
        async for event in super().stream(request):
            yield event


def own(name: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {SECRETS[name]}"}}


async def make_mail(service: Service, http: HttpServer) -> httpx.AsyncClient:
    """A tool for every user, whose server answers with all that it was sent."""

    async def repeat(asked: Asked, writer: asyncio.StreamWriter) -> None:
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        said = {
            "headers": asked.headers,
            "encoded": base64.b64encode(f"user:{token}".encode()).decode(),
            "quoted": json.dumps(json.dumps({"token": token})),
        }
        writer.write(reply_json(said))

    http.on("/mail", repeat)
    admin = await service.admin()
    body = TOOL_BODY | {"url": http.url("/mail"), "headers": {"X-Fixed": FIXED, "Authorization": "Bearer of-the-tool"}}
    assert (await admin.post("/tools", json=body)).status_code == 201
    await give_role(admin, "*", "user", "tool", "mail")
    return admin


async def share_agent(service: Service, *tools: str) -> dict[str, Any]:
    alice = await service.user("alice")
    agent = await make_agent(alice, provider="scripted", tools=list(tools))
    await give_role(alice, "bob", "user", "agent", agent["id"])
    return agent


async def use(service: Service, user: str, agent: dict[str, Any], name: str) -> dict[str, Any]:
    """The result of a tool's call in a new thread of this user, the run's notices, and all that the thread shows."""
    client = await service.user(user)
    provider = service.container.providers.get("scripted")
    assert isinstance(provider, Calls)
    thread = await make_thread(client, agent["id"])
    path = f"/threads/{thread['id']}"
    answer = await client.post(f"{path}/messages", json={"content": name})
    assert answer.status_code == 201, answer.text
    shown = [await client.get(f"{path}/{each}") for each in ("messages", "context", "runs")]
    shown.append(await client.get(f"{path}/events", headers={"accept": "application/json"}))
    parts = [part for message in shown[0].json()["data"] for part in message["parts"]]
    (result,) = [part for part in parts if part["type"] == "tool_result"]
    everything = "".join(each.text for each in shown) + repr(provider.requests)
    return {
        "result": result["result"],
        "is_error": result["is_error"],
        "notices": shown[2].json()["data"][0]["notices"],
        "shown": everything,
    }


async def everything_stored(service: Service) -> str:
    def dump(connection: Any) -> str:
        tables = MetaData()
        tables.reflect(connection)
        return repr([connection.execute(select(table)).all() for table in tables.sorted_tables])

    return await service.container.conn.database.read(dump)


async def test_two_users_call_one_tool_each_with_their_own_headers(
    service: Service, http: HttpServer, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    await make_mail(service, http)
    agent = await share_agent(service, "mail")
    for name in SECRETS:
        client = await service.user(name)
        answer = await client.put("/me/credentials/mail", json=own(name))
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await client.get("/me/credentials")).json() == {"data": [{"tool": "mail"}], "next": None}

    used = dict(
        zip(SECRETS, await asyncio.gather(*(use(service, name, agent, "mail") for name in SECRETS)), strict=True)
    )

    sent = sorted(asked.headers["authorization"] for asked in http.asked)
    assert sent == [f"Bearer {secret}" for secret in SECRETS.values()]
    assert {asked.headers["x-fixed"] for asked in http.asked} == {FIXED}
    for each in used.values():
        assert (each["is_error"], each["notices"]) == (False, [])
        assert each["result"]["headers"]["authorization"] == "[redacted]"
        assert "[redacted]" in each["result"]["encoded"]
        assert "[redacted]" in each["result"]["quoted"]
    written = capfd.readouterr()
    everywhere = "".join(
        [each["shown"] for each in used.values()]
        + [await everything_stored(service), written.out, written.err, caplog.text]
        + [(await client.get("/tools")).text for client in (await service.admin(), await service.user("alice"))]
        + [(await (await service.admin()).get("/audit", params={"limit": 100})).text]
    )
    for secret in SECRETS.values():
        assert secret not in everywhere
        assert base64.b64encode(secret.encode()).decode().rstrip("=") not in everywhere


async def test_a_call_without_credentials_is_an_error_result_and_a_notice(service: Service, http: HttpServer) -> None:
    await make_mail(service, http)
    agent = await share_agent(service, "mail")
    bob = await service.user("bob")
    await (await service.user("alice")).put("/me/credentials/mail", json=own("alice"))

    missing = await use(service, "bob", agent, "mail")

    assert missing["is_error"]
    assert missing["result"] == (
        "The call was not made: mail is called with the user's own credentials, and this user has given none."
    )
    assert missing["notices"] == [{"code": "credentials_missing", "tool": "mail"}]
    assert http.asked == []
    await bob.put("/me/credentials/mail", json=own("bob"))
    assert not (await use(service, "bob", agent, "mail"))["is_error"]
    other = {"headers": {"X-Key": "another-key-of-bob"}}
    await bob.put("/me/credentials/mail", json=other)
    await use(service, "bob", agent, "mail")
    # What was given before is gone whole: now the tool's own header goes along again.
    assert (http.asked[-1].headers["x-key"], http.asked[-1].headers["authorization"]) == (
        "another-key-of-bob",
        "Bearer of-the-tool",
    )
    assert (await bob.delete("/me/credentials/mail")).status_code == 204
    assert (await bob.delete("/me/credentials/mail")).status_code == 204
    assert (await bob.get("/me/credentials")).json()["data"] == []
    assert (await use(service, "bob", agent, "mail"))["is_error"]


async def test_credentials_are_for_tools_that_take_them_and_that_one_may_use(
    service: Service, http: HttpServer
) -> None:
    admin, alice = await make_mail(service, http), await service.user("alice")
    url = http.url("/mail")
    await admin.post("/tools", json=TOOL_BODY | {"name": "closed", "url": url})
    await admin.post("/tools", json=TOOL_BODY | {"name": "plain", "url": url, "credentials": None})
    await give_role(admin, "*", "user", "tool", "plain")
    unseen = [await alice.request(method, f"/me/credentials/{name}", json=own("alice") if method == "PUT" else None)
              for method in ("PUT", "DELETE") for name in ("closed", "nothing", "mail%2Fread")]  # fmt: skip
    for answer in unseen:
        check_problem(answer, 404, "not_found")
    # What may be seen comes before the body, and the body before the state.
    check_problem(await alice.put("/me/credentials/closed", json={}), 404, "not_found")
    check_problem(await alice.put("/me/credentials/plain", json={}), 422, "invalid_request")
    for name in ("plain", "calculator"):
        check_problem(await alice.put(f"/me/credentials/{name}", json=own("alice")), 409, "conflict")
        check_problem(await alice.delete(f"/me/credentials/{name}"), 409, "conflict")
    secret = "never-repeat-this"
    for headers in (
        {}, {"Host": secret}, {"x": f"{secret}\n"}, {"x y": secret}, {"x": secret * 400}, {"MCP-Session-Id": secret},
        {"X-Forwarded-For": secret}, {"Idempotency-Key": secret}, {"a": secret, "A": secret}, {"x": 1}, None, "x",
        {f"x-{number}": secret for number in range(33)},
    ):  # fmt: skip
        answer = await alice.put("/me/credentials/mail", json={"headers": headers})
        check_problem(answer, 422, "invalid_request")
        assert secret not in answer.text
    check_problem(await (await service.anonymous()).put("/me/credentials/mail", json=own("alice")), 401, "unauthorized")
    listed = {tool["name"]: tool.get("credentials") for tool in (await alice.get("/tools")).json()["data"]}
    assert listed == {"calculator": None, "mail": "user", "plain": None}
    check_problem(
        await admin.post("/tools", json={"type": "mcp", "name": "x", "url": url, "own_headers": {"a": "b"}}),
        422,
        "invalid_request",
    )


async def test_credentials_go_with_the_tool_with_the_user_and_with_the_role_but_for_their_deletion(
    service: Service, http: HttpServer
) -> None:
    admin, alice, bob = await make_mail(service, http), await service.user("alice"), await service.user("bob")
    for client, name in ((alice, "alice"), (bob, "bob")):
        await client.put("/me/credentials/mail", json=own(name))
    assert (await everything_stored(service)).count("'mail', 'gAAAA") == 2
    (role,) = (await admin.get("/roles", params={"resource_type": "tool", "resource_id": "mail"})).json()["data"]
    await admin.delete(f"/roles/{role['id']}")
    check_problem(await alice.put("/me/credentials/mail", json=own("alice")), 404, "not_found")
    assert (await alice.delete("/me/credentials/mail")).status_code == 204
    check_problem(await alice.delete("/me/credentials/mail"), 404, "not_found")
    await give_role(admin, "*", "user", "tool", "mail")
    await alice.put("/me/credentials/mail", json=own("alice"))

    await admin.delete("/users/bob")

    async def receipt() -> Any:
        found = (await admin.get("/jobs", params={"status": "completed"})).json()["data"]
        return next((job["result"] for job in found if job["kind"] == "erase_user"), None)

    assert (await eventually(receipt))["removed"]["credentials"] == 1
    assert (await everything_stored(service)).count("'mail', 'gAAAA") == 1
    # A tool of the same name is another one, perhaps at another address.
    await admin.delete("/tools/mail")
    assert (await alice.get("/me/credentials")).json()["data"] == []
    await make_mail(service, http)
    agent = await make_agent(alice, provider="scripted", tools=["mail"])
    assert (await use(service, "alice", agent, "mail"))["is_error"]
    assert http.asked == []


async def test_headers_for_a_new_tool_are_not_sent_by_a_run_that_began_with_its_namesake(
    service: Service, http: HttpServer
) -> None:
    admin, alice = await make_mail(service, http), await service.user("alice")
    agent = await share_agent(service, "mail")
    provider = Waits()
    service.container.providers.add(provider)
    thread = await make_thread(alice, agent["id"])
    asked = await alice.post(
        f"/threads/{thread['id']}/messages", json={"content": "mail"}, headers={"prefer": "respond-async"}
    )
    await provider.reached.wait()
    await admin.delete("/tools/mail")
    await admin.post("/tools", json=TOOL_BODY | {"url": http.url("/elsewhere")})
    await give_role(admin, "*", "user", "tool", "mail")
    await alice.put("/me/credentials/mail", json=own("alice"))
    provider.go_on.set()

    async def notices() -> Any:
        run = (await alice.get(f"/threads/{thread['id']}/runs/{asked.json()['id']}")).json()
        return run["notices"] if run["status"] == "completed" else None

    assert await eventually(notices) == [{"code": "credentials_missing", "tool": "mail"}]
    assert http.asked == []


async def test_after_a_message_that_joins_a_run_calls_have_the_headers_of_its_author(
    service: Service, http: HttpServer
) -> None:
    await make_mail(service, http)
    agent, alice, bob = await share_agent(service, "mail"), await service.user("alice"), await service.user("bob")
    for client, name in ((alice, "alice"), (bob, "bob")):
        await client.put("/me/credentials/mail", json=own(name))
    provider = Waits()
    service.container.providers.add(provider)
    thread = await make_thread(alice, agent["id"])
    await give_role(alice, "bob", "editor", "thread", thread["id"])
    path, at_once = f"/threads/{thread['id']}", {"prefer": "respond-async"}
    run = (await alice.post(f"{path}/messages", json={"content": "mail"}, headers=at_once)).json()
    await provider.reached.wait()
    joined = await bob.post(f"{path}/messages", json={"content": "mail", "on_busy": "steer"}, headers=at_once)
    assert joined.json()["id"] == run["id"]
    provider.go_on.set()

    async def completed() -> bool:
        found = (await alice.get(f"{path}/runs/{run['id']}")).json()
        return bool(found["status"] == "completed")

    await eventually(completed)
    assert [asked.headers["authorization"] for asked in http.asked] == [
        f"Bearer {SECRETS['alice']}",
        f"Bearer {SECRETS['bob']}",
    ]


async def test_a_server_is_asked_for_each_user_by_itself(service: Service, http: HttpServer) -> None:
    """The server tells nothing to strangers, offers each user other tools, and repeats their headers."""
    admin = await service.admin()
    wire = McpWire(http)
    answer = http.answers["/mcp"]
    offered = {f"Bearer {SECRETS['alice']}": TOOL, f"Bearer {SECRETS['bob']}": TOOL | {"description": "Another."}}
    offered["Bearer of-the-admin"] = TOOL

    async def by_user(asked: Asked, writer: asyncio.StreamWriter) -> None:
        sent = asked.headers.get("authorization", "")
        if sent not in offered:
            writer.write(reply(b"who?", status="401 Unauthorized"))
            return
        wire.lists(offered[sent])
        wire.result = lambda _params: {"content": [{"type": "text", "text": f"paid by {sent}"}]}
        await answer(asked, writer)

    http.on("/mcp", by_user)
    body = {"type": "mcp", "name": "bank", "url": http.url("/mcp"), "credentials": "user"}
    check_problem(await admin.post("/tools", json=body), 422, "invalid_request")
    made = await admin.post("/tools", json=body | {"own_headers": {"Authorization": "Bearer of-the-admin"}})
    assert [(tool["name"], tool["credentials"]) for tool in made.json()["data"]] == [("bank/pay", "user")]
    assert (await admin.get("/me/credentials")).json()["data"] == [{"tool": "bank"}]
    digest = made.json()["data"][0]["digest"]
    again = await admin.post("/tools/bank/approve", json={"tools": [{"name": "pay", "digest": digest}]})
    assert again.status_code == 200, again.text
    await give_role(admin, "*", "user", "tool", "bank")
    agent = await share_agent(service, "bank/pay")
    for name in SECRETS:
        await (await service.user(name)).put("/me/credentials/bank", json=own(name))

    results = {name: await use(service, name, agent, "bank/pay") for name in (*SECRETS, "alice")}

    assert results["alice"]["result"] == "paid by [redacted]"
    # Bob is offered another tool than the approved one; that says nothing of what Alice is offered.
    assert (
        results["bob"]["result"] == "The tool has changed since it was approved; it is off until it is approved again."
    )
    assert [tool["status"] for tool in (await admin.get("/tools")).json()["data"] if tool["type"] == "mcp"] == ["on"]
    assert len(service.container.tools.user_servers._kept) == 2
    await (await service.user("alice")).delete("/me/credentials/bank")
    missing = await use(service, "alice", agent, "bank/pay")
    assert missing["notices"] == [{"code": "credentials_missing", "tool": "bank"}]
    assert not any(secret in results[name]["shown"] for name in SECRETS for secret in SECRETS.values())


async def test_programs_give_credentials_by_the_store(service: Service, http: HttpServer) -> None:
    admin, container = await make_mail(service, http), service.container
    store = CredentialStore(container.conn, container.tools.sealer)
    await store.put("carol", "mail", {"X-Key": "carols-own-key"})
    assert await store.list("carol") == [{"tool": "mail"}]
    assert await store.list("alice") == []
    with pytest.raises(InvalidRequest):
        await store.put("carol", "mail", {})
    with pytest.raises(ToolNotFound):
        await store.put("carol", "nothing", {"X-Key": "carols-own-key"})
    await admin.post("/tools", json=TOOL_BODY | {"name": "plain", "url": http.url("/"), "credentials": None})
    with pytest.raises(Conflict):
        await store.put("carol", "plain", {"X-Key": "carols-own-key"})
    assert await store.delete("carol", "mail")
    assert not await store.delete("carol", "mail")
