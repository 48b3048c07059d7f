"""Who gets what, on every route, for every kind of user and every kind of id."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from ai_agents.core.ids import TIME_FORMAT
from app.doors.listed import door_at
from app.errors import MAX_ERRORS
from app.event_streams import OpenStreams
from tests.api.declared import document
from tests.api.matrix import OPEN, OTHER_NAMES, ROWS, USERS, Calculating, Row, Things, make_things, operations
from tests.api.service import UNKNOWN_ID, Service, check_problem, make_agent, open_service, settings_for
from tests.support.examples import SOAK

# Texts of the user's own choosing, and positions in a log: they name nothing that others have.
NO_IDS = {"user_id", "tool_call_id", "last_event_id"}
ID_LISTS = {"attachments", "agents"}
MALFORMED = "no-id"
SAME_REQUEST = {"x-request-id": "the-same-one"}


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with _open(database_url, tmp_path) as opened:
        yield opened


@asynccontextmanager
async def _open(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with open_service(
        settings_for(database_url, tmp_path, max_requests_per_minute=100_000, outbound_allow="127.0.0.1")
    ) as opened:
        opened.container.providers.add(Calculating())
        await _make_closed(opened)
        yield opened


async def _make_closed(service: Service) -> None:
    """A tool and a provider that are the admin's alone."""
    admin = await service.admin()
    provider = {"name": "closed", "type": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "secret"}
    tool = {
        "type": "http",
        "name": "closed",
        "description": "Counts.",
        "url": "http://127.0.0.1:9/orders",
        "credentials": "user",
    }
    await admin.post("/providers", json=provider)
    await admin.post("/tools", json=tool)
    roles = await admin.get("/roles", params={"resource_type": "provider", "resource_id": "closed"})
    for role in roles.json()["data"]:
        await admin.delete(f"/roles/{role['id']}")


async def client_of(service: Service, name: str) -> httpx.AsyncClient:
    return await (service.admin() if name == "admin" else service.user("alice" if name == "owner" else name))


async def ask(
    client: httpx.AsyncClient,
    operation: str,
    row: Row,
    things: Things,
    *,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
) -> httpx.Response:
    """Send the request of the row, with these changes."""
    method, template = operation.split()
    streamed = template.endswith("/runs/{run_id}/events")
    headers = {"prefer": "respond-async", "accept": "text/event-stream" if streamed else "application/json"}
    ids = {name: things.ids[other] for name, other in row.other_ids.items()}
    params = ({} if row.query is None else row.query(things)) | dict(query or {})
    content: dict[str, Any] = {} if row.body is None else {"json": row.body(things) | dict(body or {})}
    url = things.fill(template, ids | dict(path or {}))
    with _that_end(client) if operation == "GET /events" else nullcontext():
        return await client.request(
            method, url, headers=headers | SAME_REQUEST, params=params, files=row.files, **content
        )


@contextmanager
def _that_end(client: httpx.AsyncClient) -> Iterator[None]:
    """Let streams end after their first frame, as where a process stops: without a server, only whole answers come."""
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    streams: OpenStreams = transport.app.state.streams  # type: ignore[attr-defined]  # of the application
    streams.closing = True
    try:
        yield
    finally:
        streams.closing = False


async def statuses_of(service: Service, operation: str, row: Row, shared: Things) -> str:
    """What each user gets. What is only read are the `shared` things; others are made anew once they are used up."""
    owner = await service.user("alice")
    things = shared if operation.startswith("GET") else None
    await _make_closed(service)  # the operation before may have taken it away
    found = []
    for user in USERS:
        if things is None:
            await _make_closed(service)
            things = await make_things(service, owner)
        response = await ask(await client_of(service, user), operation, row, things)
        found.append(str(response.status_code))
        if row.once and response.is_success:
            things = None
    return " ".join(found)


def _ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime(TIME_FORMAT)


def test_every_route_has_a_row() -> None:
    assert sorted(ROWS) == sorted(operations())


async def test_each_user_gets_on_each_route_what_the_matrix_says(service: Service, database_url: str) -> None:
    """Each route on one database, and its neighbours on the other; in `make soak` all on both."""
    first = 0 if "sqlite" in database_url else 1
    rows = ROWS if SOAK else dict(islice(ROWS.items(), first, None, 2))
    shared = await make_things(service, await service.user("alice"))

    found = {operation: await statuses_of(service, operation, row, shared) for operation, row in rows.items()}

    assert found == {operation: row.statuses for operation, row in rows.items()}


async def test_a_token_that_names_agents_gets_what_is_theirs_and_nothing_else(sqlite_url: str, tmp_path: Path) -> None:
    async with _open(sqlite_url, tmp_path) as service:
        await _ask_by_tokens(service)


async def _ask_by_tokens(service: Service) -> None:
    owner = await service.user("alice")
    things, other = await make_things(service, owner), await make_agent(owner)
    found = {}
    for operation, row in ROWS.items():
        statuses: list[str] = []
        for agent_id in (other["id"], things.ids["agent_id"]):
            made = await owner.post("/tokens", json={"agents": [agent_id]})
            client = await service.anonymous()
            client.headers["authorization"] = f"Bearer {made.json()['token']}"
            response = await ask(client, operation, row, things)
            statuses.insert(0, str(response.status_code))
            if row.once and response.is_success:
                things = await make_things(service, owner)
        found[operation] = " ".join(statuses)

    assert found == {operation: row.scoped for operation, row in ROWS.items()}


async def test_without_a_key_that_is_good_every_route_is_closed(service: Service) -> None:
    """No key, one that was deleted, one that has expired, a ticket where a key is asked for."""
    things = await make_things(service, await service.user("alice"))
    keys = service.container.keys
    deleted = await keys.create("alice", "tests")
    expired = await keys.create("alice", "tests", expires_at=_ago(1))
    owner = await service.user("alice")
    await owner.delete(f"/keys/{deleted['id']}")
    ticket = (await owner.post("/tickets", json={"thread_id": things.ids["thread_id"]})).json()["ticket"]

    wrong = {}
    for sent in (None, deleted["key"], expired["key"], ticket):
        client = await service.anonymous()
        client.headers.update({} if sent is None else {"authorization": f"Bearer {sent}"})
        for operation, row in ROWS.items():
            response = await ask(client, operation, row, things)
            if response.status_code != (200 if operation in OPEN else 401):
                wrong[operation, sent] = response.text
    assert wrong == {}


def properties_of(schema: dict[str, Any]) -> dict[str, Any]:
    """The properties of a schema of the document, of all its alternatives."""
    found: dict[str, Any] = dict(schema.get("properties", {}))
    if "$ref" in schema:
        found |= properties_of(document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for each in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        found |= properties_of(each)
    return found


def ids_in_requests() -> Iterator[tuple[str, str, str]]:
    """Where requests name things by id: the operation; `path`, `query` or `body`; the name there."""
    for operation in operations():
        method, path = operation.split()
        found = document()["paths"][path][method.lower()]
        for parameter in found.get("parameters", ()):
            name = parameter["name"]
            if parameter["in"] == "path" or name.endswith("_id") or (name in OTHER_NAMES and name != "model"):
                yield operation, parameter["in"], name
        content = found.get("requestBody", {}).get("content", {}).get("application/json", {})
        for name in properties_of(content.get("schema", {})):
            # An agent's `model` is a provider's; at a door of OpenAI's it is an agent.
            if name.endswith("_id") or name in ID_LISTS or (name == "model" and path.startswith("/v1/")):
                yield operation, "body", name


async def test_what_a_user_may_not_see_looks_like_what_does_not_exist(service: Service) -> None:
    """Every kind of id in path, query and body: another tenant's, an unknown one, a malformed one, byte for byte."""
    things = await make_things(service, await service.user("alice"))
    hidden = await make_things(service, await service.user("dave"), shared=False)

    wrong = {}
    for operation, where, name in ids_in_requests():
        if name in NO_IDS:
            continue
        for user in ("owner", "editor", "stranger"):
            client = await client_of(service, user)
            answers = []
            for value in (hidden.id_of(name), UNKNOWN_ID, MALFORMED):
                change: dict[str, Any] = {name: [value] if name in ID_LISTS else value}
                answers.append(await ask(client, operation, ROWS[operation], things, **{where: change}))
            if len({answer.content for answer in answers}) > 1:
                wrong[operation, where, name, user] = [(each.status_code, each.text) for each in answers]
    assert wrong == {}


async def test_a_query_parameter_that_a_route_does_not_know_is_refused(service: Service) -> None:
    """On every route but those of health and doors, as an unknown field is; after what the user may not see."""
    admin, stranger = await service.admin(), await service.user("stranger")
    things = await make_things(service, await service.user("alice"))

    for operation, row in ROWS.items():
        if operation not in {"GET /livez", "GET /readyz", "GET /metrics"} and door_at(operation.split()[1]) is None:
            response = await ask(admin, operation, row, things, query={"limitt": "1"})
            problem = check_problem(response, 422, "invalid_request")
            assert [each["loc"] for each in problem["errors"]] == [["query", "limitt"]], operation
    path = f"/agents/{things.ids['agent_id']}?limitt=1"
    check_problem(await stranger.get(path), 404, "not_found")
    assert (await stranger.get("/livez?from=balancer")).status_code == 200
    many = "&".join(f"{'x' * 110}{number}=1" for number in range(200))
    assert len(check_problem(await admin.get(f"/me?{many}"), 422, "invalid_request")["errors"]) <= MAX_ERRORS
