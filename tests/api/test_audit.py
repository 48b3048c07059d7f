"""The audit log: every route that it has to tell of leaves its entry, and no request can fill it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.store import audit, audit_chain
from ai_agents.store.audit import Act
from ai_agents.store.database import Database
from app import audit_notes
from app.audit_notes import AuditNotes
from tests.api.declared import document
from tests.api.matrix import ROLES, ROWS, Calculating, make_things, operations
from tests.api.service import Service, check_problem, make_agent, make_thread, open_service, settings_for
from tests.api.test_matrix_in_space import _make_closed, ask, client_of
from tests.fakes.mcp_servers import McpFake
from tests.support.clock import Clock
from tests.support.waiting import eventually

# The operations of which the log tells each time: all that delete, and all that change what these tags are about.
TAGS = {"roles", "keys", "tokens", "tools", "catalogue", "providers", "users", "audit", "webhooks", "credentials"}
ACTIONS = {
    "DELETE /agents/{agent_id}": "agent.delete",
    "DELETE /threads/{thread_id}": "thread.delete",
    "DELETE /files/{file_id}": "file.delete",
    "DELETE /users/{user_id}": "user.erase",
    "PUT /users/{user_id}/limits": "limits.change",
    "POST /roles": "role.assign",
    "DELETE /roles/{role_id}": "role.remove",
    "POST /keys": "key.create",
    "DELETE /keys/{key_id}": "key.delete",
    "POST /keys/{key_id}/rotate": "key.rotate",
    "POST /tokens": "token.create",
    "DELETE /tokens": "token.delete",
    "DELETE /tokens/{token_id}": "token.delete",
    "PUT /me/credentials/{tool}": "credentials.put",
    "DELETE /me/credentials/{tool}": "credentials.delete",
    "POST /webhooks": "webhook.create",
    "PATCH /webhooks/{webhook_id}": "webhook.change",
    "DELETE /webhooks/{webhook_id}": "webhook.delete",
    "POST /webhooks/{webhook_id}/deliveries/{delivery_id}/retry": "webhook.retry",
    "POST /providers": "provider.create",
    "PATCH /providers/{name}": "provider.change",
    "DELETE /providers/{name}": "provider.delete",
    "POST /tools": "tool.create",
    "PATCH /tools/{name}": "tool.change",
    "POST /tools/{name}/approve": "tool.approve",
    "DELETE /tools/{name}": "tool.delete",
    "DELETE /v1/conversations/{conversation_id}": "thread.delete",
    "DELETE /v1/responses/{response_id}": "response.delete",
}
CHANGES_NOTHING = {"POST /providers/{name}/check"}
# What has no success in the matrix has a test of its own below.
ELSEWHERE = {"POST /tools/{name}/approve"}
# Routes on which an admin has only things of their own, or the service's.
NOT_OF_OTHERS = {
    "POST /agents",
    "POST /files",
    "POST /v1/conversations",
    "GET /me",
    "GET /me/credentials",
    "GET /providers",
    "GET /providers/{name}",
    "GET /providers/{name}/models",
    "POST /providers/{name}/check",
    "GET /tools",
    "POST /tools/{name}/approve",
    "GET /livez",
    "GET /readyz",
    "GET /metrics",
}


@pytest.fixture
async def full(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """A service with all that the rows of the matrix name."""
    settings = settings_for(sqlite_url, tmp_path, max_requests_per_minute=100_000, outbound_allow="127.0.0.1")
    async with open_service(settings) as opened:
        opened.container.providers.add(Calculating())
        await _make_closed(opened)
        yield opened


async def entries(service: Service, **filters: Any) -> list[dict[str, Any]]:
    """The newest entries, with those that were only noted."""
    await service.container.audit.flush()
    found = await service.container.conn.database.read(lambda c: audit.list_entries(c, limit=100, **filters))
    return [dict(each) for each in found["data"]]


def operation_id(operation: str) -> str:
    method, path = operation.split()
    return str(document()["paths"][path][method.lower()]["operationId"])


def test_every_route_that_the_log_tells_of_has_its_action() -> None:
    tagged = {
        operation
        for operation in operations()
        for method, path in [operation.split()]
        if method == "DELETE" or (method != "GET" and TAGS & {*document()["paths"][path][method.lower()]["tags"]})
    }

    assert sorted(tagged - CHANGES_NOTHING) == sorted(ACTIONS)


async def test_every_change_leaves_its_entry_and_so_does_an_admin_with_what_others_have(full: Service) -> None:
    """Each row of the matrix as an admin, with things of Alice's. A new route without an entry fails."""
    owner = await full.user("alice")
    things = await make_things(full, owner, shared=False)
    missing, unwanted = [], []
    for operation, row in ROWS.items():
        response = await ask(await full.admin(), operation, row, things)
        found = [each for each in await entries(full, actor="admin") if each["operation"] == operation_id(operation)]
        actions = {each["action"] for each in found}
        wanted = ACTIONS.get(operation) if response.is_success else None
        if (wanted is not None and wanted not in actions) or (operation not in NOT_OF_OTHERS and not actions):
            missing.append(operation)
        if operation in NOT_OF_OTHERS and actions:
            unwanted.append((operation, actions))
        if not response.is_success and operation in ACTIONS:
            assert operation in ELSEWHERE, response.text
        if row.once and response.is_success:
            await _make_closed(full)
            things = await make_things(full, owner, shared=False)
    assert (missing, unwanted) == ([], [])
    assert (await audit_chain.verify(full.container.conn.database)).fault is None


async def test_each_refusal_of_what_was_visible_is_noted_and_nothing_else(
    full: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row of the matrix for each user who sees something of it: an entry for each 403, none for a 404."""
    monkeypatch.setattr(audit_notes, "_MOST_OF_USER", 1000)
    things = await make_things(full, await full.user("alice"))
    wrong = []
    for user in ROLES:
        client = await client_of(full, user)
        for operation, row in ROWS.items():
            if row.once and (await ask(client, operation, row, things)).is_success:
                things = await make_things(full, await full.user("alice"))
        refused = {
            operation_id(operation)
            for operation, row in ROWS.items()
            if not row.once and (await ask(client, operation, row, things)).status_code == 403
        } | {operation_id(operation) for operation, row in ROWS.items() if row.once and _is_refused(row.statuses, user)}
        found = await entries(full, actor=user)
        noted = {each["operation"] for each in found if each["outcome"] == "denied"}
        if noted != refused:
            wrong.append((user, noted ^ refused))
    assert wrong == []


def _is_refused(statuses: str, user: str) -> bool:
    return statuses.split()[list(ROLES).index(user)] == "403"


async def test_an_entry_of_a_refusal_names_what_was_refused(small_service: Service) -> None:
    alice, bob = await small_service.user("alice"), await small_service.user("bob")
    agent = await make_agent(alice)
    role = {"user_id": "bob", "role": "viewer", "resource_type": "agent", "resource_id": agent["id"]}
    await alice.post("/roles", json=role)

    for _ in range(3):
        check_problem(await bob.patch(f"/agents/{agent['id']}", json={"name": "mine"}), 403, "forbidden")
    check_problem(await bob.post("/roles", json=role), 403, "forbidden")
    check_problem(await bob.delete("/tools/alices-secret"), 403, "forbidden")
    check_problem(await bob.delete("/users/alice"), 403, "forbidden")

    found = await entries(small_service, actor="bob")
    assert {(each["operation"], each["resource_type"], each["resource_id"], each["count"]) for each in found} == {
        ("update_agent", "agent", agent["id"], 3),
        ("assign_role", "agent", agent["id"], 1),
        ("delete_tool", None, None, 1),
        ("erase_user", None, None, 1),
    }
    # The request that was refused can be found in the log of requests.
    assert all(each["request_id"] and each["key_id"] for each in found)
    assert {each["action"] for each in found} == {"access"}


async def test_who_gets_a_role_or_a_key_is_told_but_no_text_of_a_person(small_service: Service) -> None:
    alice, admin = await small_service.user("alice"), await small_service.admin()
    agent = await make_agent(alice, name="Unforgettable words")
    role = {"user_id": "bob", "role": "editor", "resource_type": "agent", "resource_id": agent["id"]}
    given = (await alice.post("/roles", json=role, headers={"x-request-id": "words/of/alice"})).json()
    await alice.delete(f"/roles/{given['id']}")
    await alice.post("/keys", json={"name": "Unforgettable key"})
    await admin.put("/users/bob/limits", json={"runs": 3, "cost_per_day": 1.5})

    changed, made, gone, assigned = (await admin.get("/audit?until=2100-01-01")).json()["data"][:4]

    for entry in (assigned, gone):
        assert entry["subject"]["user_id"] == "bob"
        assert entry["details"] == {"role": "editor"}
        assert (entry["resource_type"], entry["resource_id"]) == ("agent", agent["id"])
    assert [made["action"], made["subject"], made["details"]] == [
        "key.create",
        made["actor"],
        {"admin": False, "expires": False},
    ]
    assert changed["details"] == {"runs": 3, "cost_per_day": 1.5}
    assert changed["resource_id"] == changed["subject"]["id"]
    rows = json.dumps(await entries(small_service))
    assert "nforgettable" not in rows
    assert "words/of/alice" not in rows


async def test_an_erased_user_is_in_the_log_without_a_name(small_service: Service) -> None:
    alice, admin = await small_service.user("alice-to-erase"), await small_service.admin()
    thread = await make_thread(alice)
    await alice.delete(f"/threads/{thread['id']}")
    before = await entries(small_service, actor="alice-to-erase")
    check_problem(await alice.delete("/users/bob"), 403, "forbidden")

    await admin.delete("/users/alice-to-erase")

    async def erased() -> bool:
        return bool(await entries(small_service, action="user.erased"))

    await eventually(erased)
    pseudonym = before[0]["actor"]["id"]
    check_problem(await alice.get("/me"), 401, "unauthorized")
    found = (await admin.get(f"/audit?resource_type=user&resource_id={pseudonym}")).json()["data"]
    assert [each["action"] for each in found] == ["user.erased", "user.erase"]
    assert {each["subject"]["user_id"] for each in found} == {None}
    assert found[0]["details"]["keys"] == 1
    everything = await small_service.container.conn.database.read(
        lambda c: [c.execute(text(f"SELECT * FROM {table}")).all() for table in ("audit_entries", "audit_people")]
    )
    assert "alice-to-erase" not in str(everything)


async def test_only_admins_read_the_log_and_reading_it_is_in_it(small_service: Service) -> None:
    admin = await small_service.admin()
    check_problem(await (await small_service.user("bob")).get("/audit"), 403, "forbidden")
    check_problem(await admin.get("/audit?after=x"), 400, "invalid_cursor")
    for query in ("since=yesterday", "action=none", "resource_type=none", "limit=0"):
        check_problem(await admin.get(f"/audit?{query}"), 422, "invalid_request")

    (entry,) = await entries(small_service, resource_type="audit")
    assert (entry["actor"]["user_id"], entry["operation"]) == ("admin", "list_audit")


async def test_tools_of_a_server_that_are_approved_are_in_the_log(
    sqlite_url: str, tmp_path: Path, mcp: McpFake
) -> None:
    async with open_service(settings_for(sqlite_url, tmp_path, outbound_allow="127.0.0.1")) as service:
        admin = await service.admin()
        made = await admin.post("/tools", json={"type": "mcp", "name": "shop", "url": mcp.url})
        assert made.status_code == 201, made.text
        tool = made.json()["data"][0]
        approved = {"name": tool["name"].partition("/")[2], "digest": tool["digest"]}
        answer = await admin.post("/tools/shop/approve", json={"tools": [approved]})
        assert answer.status_code == 200, answer.text

        (entry,) = await entries(service, action="tool.approve")
        assert (entry["resource_id"], entry["details"]) == ("shop", {"approved": 1})


async def test_a_change_that_fails_leaves_no_entry(small_service: Service) -> None:
    alice = await small_service.user("alice")
    agent = await make_agent(alice)
    (role,) = (await alice.get(f"/roles?resource_type=agent&resource_id={agent['id']}")).json()["data"]
    check_problem(await alice.delete(f"/roles/{role['id']}"), 409, "last_owner")
    stale = await alice.delete(f"/agents/{agent['id']}", headers={"if-match": '"7"'})
    check_problem(stale, 412, "precondition_failed")

    assert await entries(small_service, actor="alice") == []


async def test_a_repeated_request_leaves_one_entry(small_service: Service) -> None:
    alice = await small_service.user("alice")
    agent = await make_agent(alice)
    role = {"user_id": "bob", "role": "viewer", "resource_type": "agent", "resource_id": agent["id"]}
    for _ in range(2):
        assert (await alice.post("/roles", json=role, headers={"idempotency-key": "k"})).status_code == 201

    assert len(await entries(small_service, action="role.assign")) == 1


async def test_requests_without_a_good_key_are_counted_together(small_service: Service) -> None:
    stranger = await small_service.anonymous()
    await stranger.get("/me", headers={"authorization": "Bearer aia_x"})
    for _ in range(5):
        await stranger.get("/me")

    found = await entries(small_service, action="sign_in")
    assert [(each["actor"], each["outcome"], each["count"]) for each in found] == [(None, "denied", 6)]


async def test_what_was_noted_is_written_when_the_service_stops(sqlite_url: str, tmp_path: Path) -> None:
    settings = settings_for(sqlite_url, tmp_path)
    async with open_service(settings) as service:
        await (await service.admin()).get("/threads")
        await (await service.admin()).get("/threads")

    database = Database(sqlite_url)
    found = await database.read(audit.list_entries)
    assert [(each["operation"], each["count"]) for each in found["data"]] == [("list_threads", 2)]
    await database.close()


def denial(user_id: str, agent: int, *, operation: str = "update_agent") -> Act:
    return Act("access", user_id, "agent", str(agent), operation=operation, outcome="denied")


async def counts(database: Database) -> list[tuple[str | None, int]]:
    """Resource and count of each entry, oldest first."""
    page = await database.read(lambda c: audit.list_entries(c, limit=100))
    return [(each["resource_id"], each["count"]) for each in reversed(page["data"])]


async def test_a_minute_of_requests_is_two_entries(sqlite_url: str) -> None:
    database, clock = Database(sqlite_url), Clock(600)
    notes = AuditNotes(database, clock=clock)
    for _ in range(40):
        notes.note(denial("bob", 1))
        await notes.flush()
        clock.now += 1
    assert await counts(database) == [("1", 1)]

    clock.now = 661.0
    await notes.flush()
    assert await counts(database) == [("1", 1), ("1", 39)]
    assert not notes._notes
    notes.note(denial("bob", 1))
    await notes.close()
    assert await counts(database) == [("1", 1), ("1", 39), ("1", 1)]
    await database.close()


async def test_notes_are_bounded_for_each_user_and_in_all(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(sqlite_url)
    notes = AuditNotes(database, clock=Clock(600))
    for number in range(1000):
        notes.note(denial("bob", number, operation=str(number)))
    assert len(notes._notes) == audit_notes._MOST_OF_USER + 1
    monkeypatch.setattr(audit_notes, "_MOST", 30)
    for number in range(1000):
        notes.note(denial(f"user {number}", 1))
    assert len(notes._notes) == 31
    await notes.close()

    found = await database.read(lambda c: audit.list_entries(c, limit=100))
    assert sum(each["count"] for each in found["data"]) == 2000
    more = [each for each in found["data"] if each["details"]]
    assert [(each["actor"] and each["actor"]["user_id"], each["count"]) for each in reversed(more)] == [
        ("bob", 1000 - audit_notes._MOST_OF_USER),
        (None, 1000 - 9),
    ]
    await database.close()


async def test_a_change_by_an_admin_is_written_before_it_is_done_and_counted_after(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, clock = Database(sqlite_url), Clock(600)
    notes = AuditNotes(database, clock=clock)
    await notes.note_change(denial("root", 1))
    await notes.note_change(denial("root", 1))
    assert await counts(database) == [("1", 1)]
    await notes.close()
    assert await counts(database) == [("1", 1), ("1", 1)]

    async def unavailable(*_: object, **__: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(database, "write", unavailable)
    with pytest.raises(DatabaseUnavailable):
        await notes.note_change(denial("root", 2))
    await database.close()


async def test_a_user_who_was_erased_gets_no_new_pseudonym_by_what_was_noted(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    notes = AuditNotes(database, clock=Clock(600))
    notes.note(Act("access", "gone", "agent", "1", key_id="01890a5d-ac96-774b-bcce-b302099a8057", outcome="denied"))
    await notes.close()

    found = await database.read(audit.list_entries)
    assert [each["actor"] for each in found["data"]] == [None]
    await database.close()


async def test_a_turn_of_a_user_writes_nothing_to_the_log(small_service: Service) -> None:
    alice = await small_service.user("alice")
    thread = await make_thread(alice)
    response = await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hello"})
    assert response.status_code == 201
    admin = await small_service.admin()
    own = await make_thread(admin)
    assert (await admin.post(f"/threads/{own['id']}/messages", json={"content": "Hello"})).status_code == 201

    assert await entries(small_service) == []


async def test_an_admins_use_of_a_file_of_others_in_a_message_is_in_the_log(small_service: Service) -> None:
    alice, admin = await small_service.user("alice"), await small_service.admin()
    file = (await alice.post("/files", files={"file": ("note.txt", b"A note.", "text/plain")})).json()
    own = await make_thread(admin)
    body = {"content": "Read it.", "attachments": [file["id"]]}
    assert (await admin.post(f"/threads/{own['id']}/messages", json=body)).status_code == 201

    assert [each["resource_id"] for each in await entries(small_service, resource_type="file")] == [file["id"]]


async def test_the_first_entries_of_a_user_may_come_at_once(postgresql_url: str, tmp_path: Path) -> None:
    """Each gives the user a pseudonym, for which the others wait: none of them may wait for another lock after it."""
    async with open_service(settings_for(postgresql_url, tmp_path)) as service:
        for name in ("ann", "bea", "cy"):
            user = await service.user(name)
            agent, other = await make_agent(user), await make_agent(user)
            paths = [f"/agents/{other['id']}"]
            for number in range(3):
                paths.append(f"/threads/{(await make_thread(user, agent['id']))['id']}")
                file = {"file": ("a.txt", f"{name} {number}".encode(), "text/plain")}
                paths.append(f"/files/{(await user.post('/files', files=file)).json()['id']}")

            answers = await asyncio.gather(*(user.delete(path) for path in paths))

            assert {answer.status_code for answer in answers} == {204}, [answer.text for answer in answers]
            assert len(await entries(service, actor=name)) == len(paths)
