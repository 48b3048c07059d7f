"""Background jobs over HTTP: automatic titles, and the routes for admins."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import insert, select, text, update

from ai_agents.store import jobs
from ai_agents.store.models import Base, SummaryTable, ThreadTable
from ai_agents.testing import ScriptedProvider, tool_call
from app.cli import main
from tests.api.service import Service, check_problem, give_role, make_agent, make_thread, open_service, settings_for
from tests.support.waiting import eventually


async def say(client: httpx.AsyncClient, thread_id: str, content: str) -> None:
    response = await client.post(f"/threads/{thread_id}/messages", json={"content": content})
    assert response.status_code == 201, response.text


async def job_of(admin: httpx.AsyncClient, kind: str, status: str = "completed") -> Any:
    jobs = (await admin.get("/jobs", params={"status": status})).json()["data"]
    return next((job for job in jobs if job["kind"] == kind), None)


async def test_a_thread_gets_a_title_after_its_first_exchange(database_url: str, tmp_path: Path) -> None:
    async with open_service(settings_for(database_url, tmp_path, auto_title=True)) as service:
        alice = await service.user("alice")
        thread = await make_thread(alice)
        await say(alice, thread["id"], "Where is the station?")

        async def title() -> str | None:
            found: str | None = (await alice.get(f"/threads/{thread['id']}")).json()["title"]
            return found

        assert await eventually(title) == "Where is the station?"
        log = await alice.get(f"/threads/{thread['id']}/events", headers={"accept": "application/json"})
        assert log.json()["data"][-1]["type"] == "thread.updated"
        job = await job_of(await service.admin(), "title")
        assert (job["thread_id"], job["attempts"], job["result"]) == (thread["id"], 1, {"written": True})


async def test_jobs_are_for_admins(service: Service) -> None:
    alice = await service.user("alice")
    for method, path in (
        ("GET", "/jobs"),
        ("POST", "/jobs/01a206ba-da91-7460-b9a9-ac8706ae2953/retry"),
        ("DELETE", "/users/bob"),
    ):
        response = await alice.request(method, path)
        assert (response.status_code, response.json()["code"]) == (403, "forbidden"), path


async def test_a_given_up_job_is_listed_and_starts_again(service: Service) -> None:
    admin = await service.admin()
    thread = await make_thread(admin)
    rows = text(
        "INSERT INTO jobs (id, thread_id, kind, range_key, status, attempts, error, created_at, finished_at) VALUES "
        f"('01a206ba-da91-7460-b9a9-ac8706ae2953', '{thread['id']}', 'title', 'title', 'failed', 5, 'It is away.', "
        "'2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.000000Z')"
    )
    await service.container.conn.database.write(lambda c: c.execute(rows))
    (failed,) = (await admin.get("/jobs?status=failed")).json()["data"]
    assert (failed["attempts"], failed["error"]) == (5, "It is away.")

    retried = await admin.post(f"/jobs/{failed['id']}/retry")
    assert (retried.status_code, retried.json()["status"], retried.json()["attempts"]) == (200, "queued", 0)
    await eventually(lambda: job_of(admin, "title"))
    assert (await admin.post(f"/jobs/{failed['id']}/retry")).status_code == 409
    assert (await admin.post("/jobs/none/retry")).status_code == 404


async def test_erasing_a_user_removes_everything_and_leaves_a_receipt(service: Service) -> None:
    admin, alice, bob = await service.admin(), await service.user("alice"), await service.user("bob")
    shared_agent = await make_agent(bob)
    await give_role(admin, "*", "viewer", "agent", shared_agent["id"])
    own_agent = await make_agent(alice)
    own = await make_thread(alice, own_agent["id"])
    await say(alice, own["id"], "mine alone")
    shared = await make_thread(bob, shared_agent["id"])
    await bob.post(
        "/roles", json={"user_id": "alice", "role": "editor", "resource_type": "thread", "resource_id": shared["id"]}
    )
    await say(alice, shared["id"], "a secret of alice")
    await say(bob, shared["id"], "a word of bob")

    asked = await admin.delete("/users/alice")
    assert (asked.status_code, asked.json()["kind"]) == (202, "erase_user")
    job = await eventually(lambda: job_of(admin, "erase_user"))

    assert job["result"]["removed"] | {"idempotency_keys": 0, "tickets": 0} == {
        "keys": 1,
        "tickets": 0,
        "idempotency_keys": 0,
        "webhooks": 0,
        "model_calls": 2,
        "threads": 1,
        "messages": 2,
        "messages_redacted": 1,
        "runs_redacted": 1,
        "summaries": 0,
        "agents": 1,
        "roles": 1,
        "feedback": 0,
        "credentials": 0,
        "foreign_ids": 0,
        "limits": 0,
    }
    assert (await alice.get("/me")).status_code == 401
    assert (await admin.get(f"/threads/{own['id']}")).status_code == 404
    assert (await admin.get(f"/agents/{own_agent['id']}")).status_code == 404
    messages = (await bob.get(f"/threads/{shared['id']}/messages")).json()["data"]
    assert [m["content"] for m in messages if m["role"] == "user"] == ["[erased]", "a word of bob"]
    log = await bob.get(
        f"/threads/{shared['id']}/events", headers={"accept": "application/json"}, params={"limit": 100}
    )
    told = [event for event in log.json()["data"] if event["type"] == "run.started"]
    assert "secret of alice" not in str(told)
    assert "alice" not in str([event for event in log.json()["data"] if event["type"] != "message.completed"])
    assert "alice" not in str((await admin.get("/jobs")).json())


async def test_runs_of_an_erased_user_end_and_the_thread_goes_on(small_service: Service) -> None:
    admin, alice, bob = await small_service.admin(), await small_service.user("alice"), await small_service.user("bob")
    small_service.container.providers.add(ScriptedProvider([tool_call("calculator", expression="6*7")], "For bob."))
    agent = await make_agent(bob, provider="scripted", tools=[{"name": "calculator", "approval": "always"}])
    thread = await make_thread(bob, agent["id"])
    await give_role(bob, "alice", "user", "agent", agent["id"])
    await give_role(bob, "alice", "editor", "thread", thread["id"])
    path = f"/threads/{thread['id']}"
    assert (await alice.post(f"{path}/messages", json={"content": "Calculate."})).json()["status"] == "waiting"
    later = {"prefer": "respond-async"}
    for client, content in ((alice, "Calculate more."), (bob, "Hello!")):
        body = {"content": content, "on_busy": "queue"}
        assert (await client.post(f"{path}/messages", json=body, headers=later)).json()["status"] == "queued"

    await admin.delete("/users/alice")
    await eventually(lambda: job_of(admin, "erase_user"))

    async def is_answered() -> bool:
        runs = (await bob.get(f"{path}/runs")).json()["data"]
        return [run["status"] for run in runs] == ["completed", "cancelled", "cancelled"]

    await eventually(is_answered)
    messages = (await bob.get(f"{path}/messages")).json()["data"]
    assert [message["content"] for message in messages if message["role"] == "user"] == ["[erased]", "Hello!"]
    assert "alice" not in str(messages)


async def test_no_table_names_an_erased_user_or_quotes_them(service: Service) -> None:
    name, secret = "alice-to-erase", "unforgettable words"
    admin, alice, bob = await service.admin(), await service.user(name), await service.user("bob")
    call = tool_call("look")
    service.container.providers.add(ScriptedProvider(*["Noted."] * 3, [call], "Noted."))
    model = {"provider": "scripted", "model": "m"}
    agent = await make_agent(alice, system_prompt=secret, description=secret, **model)
    own = await make_thread(alice, agent["id"], title=secret, metadata={"about": secret})
    await say(alice, own["id"], secret)
    assert (await alice.post("/tickets", json={"thread_id": own["id"]})).status_code == 201
    upload = {"file": (f"{secret}.txt", secret.encode(), "text/plain")}
    file = (await alice.post("/files", files=upload, headers={"Idempotency-Key": secret.replace(" ", "-")})).json()
    bobs_agent = await make_agent(bob, **model)
    await give_role(admin, "*", "viewer", "agent", bobs_agent["id"])
    shared = await make_thread(bob, bobs_agent["id"])
    role = {"user_id": name, "role": "editor", "resource_type": "thread", "resource_id": shared["id"]}
    await bob.post("/roles", json=role, headers={"Idempotency-Key": "bobs-key"})
    tools = [{"name": "look", "description": secret}]
    body = {"content": secret, "attachments": [file["id"]], "metadata": {"about": secret}, "tools": tools}
    assert (await alice.post(f"/threads/{shared['id']}/messages", json=body)).status_code == 201
    body = {"content": "see this file", "attachments": [file["id"]]}
    assert (await bob.post(f"/threads/{shared['id']}/messages", json=body)).status_code == 201
    asked = await bob.post(f"/threads/{shared['id']}/messages", json={"content": "look", "tools": [{"name": "look"}]})
    results = {"results": [{"tool_call_id": call.tool_call_id, "result": {"seen": secret}}]}
    given = await alice.post(f"/threads/{shared['id']}/runs/{asked.json()['id']}/tool_results", json=results)
    assert given.status_code == 200
    database = service.container.conn.database
    await database.write(
        lambda c: c.execute(
            insert(SummaryTable).values(
                thread_id=shared["id"], covers_through_seq=1, number=1, text=secret, created_at=shared["created_at"]
            )
        )
    )
    await database.write(
        lambda c: c.execute(
            update(ThreadTable).where(ThreadTable.id == shared["id"]).values(title=secret, title_by="job")
        )
    )

    await admin.put(f"/users/{name}/limits", json={"threads": 100})
    await admin.delete(f"/users/{name}")
    job = await eventually(lambda: job_of(admin, "erase_user"))

    assert job["result"]["removed"]["files"] == 1
    for table in Base.metadata.sorted_tables:
        rows = await database.read(lambda c, table=table: c.execute(select(table)).all())  # type: ignore[misc]
        for word in (name, secret, secret.replace(" ", "-"), file["id"]):
            assert word not in str(rows), table.name
    messages = (await bob.get(f"/threads/{shared['id']}/messages")).json()["data"]
    assert [m["content"] for m in messages if m["role"] == "user"][1].startswith("see this file")
    (answered,) = [part for message in messages if message["role"] == "tool" for part in message["parts"]]
    assert (answered["tool_call_id"], answered["result"]) == (call.tool_call_id, "[erased]")


async def test_the_name_for_all_users_cannot_be_erased(service: Service) -> None:
    assert (await (await service.admin()).delete("/users/*")).status_code == 422


async def test_idle_threads_and_unused_files_are_removed(database_url: str, tmp_path: Path) -> None:
    settings = settings_for(database_url, tmp_path, retain_threads_days=30, retain_files_days=7)
    async with open_service(settings) as service:
        admin = await service.admin()
        old, active, fresh = [await make_thread(admin) for _ in range(3)]
        await say(admin, active["id"], "still here")
        await admin.post("/files", files={"file": ("old.txt", b"of no use", "text/plain")})
        await admin.post("/files", files={"file": ("new.txt", b"of use", "text/plain")})
        long_ago = "'2020-01-01T00:00:00.000000Z'"
        threads = text(
            f"UPDATE threads SET created_at = {long_ago}, updated_at = {long_ago} "
            f"WHERE id IN ('{old['id']}', '{active['id']}')"
        )
        files = text(f"UPDATE files SET created_at = {long_ago} WHERE filename = 'old.txt'")
        await service.container.conn.database.write(lambda c: (c.execute(threads), c.execute(files)))
        service.container.conn.executor.request_sweep()  # the periodic tasks run now, not in a minute
        job = await eventually(lambda: job_of(admin, "retention"))

        assert job["result"] == {"threads": 1, "files": 1, "log_rows": 0}
        left = {thread["id"] for thread in (await admin.get("/threads")).json()["data"]}
        assert left == {active["id"], fresh["id"]}


@pytest.fixture
def configured_url(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database that the commands of this process use."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AI_AGENTS_DATABASE_URL", sqlite_url)
    return sqlite_url


def test_failed_jobs_are_listed_and_retried(configured_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(_fail_a_job(configured_url))
    main(["jobs", "list"])
    assert "failed  retention" in capsys.readouterr().out
    main(["jobs", "retry"])
    assert capsys.readouterr().out == "1 to be done again.\n"
    with pytest.raises(SystemExit, match="no such job"):
        main(["jobs", "retry", "01a206ba-da91-7460-b9a9-ac8706ae2953"])


async def _fail_a_job(url: str) -> None:
    from ai_agents.store import jobs
    from ai_agents.store.database import Database

    database = Database(url)
    await database.write(lambda c: jobs.insert_loose(c, "retention", "retention", {}))
    await database.write(lambda c: c.execute(text("UPDATE jobs SET status = 'failed', error = 'It is away.'")))
    await database.close()


async def test_metrics_count_jobs_and_are_for_admins(service: Service) -> None:
    alice, admin = await service.user("alice"), await service.admin()
    thread = await make_thread(alice)
    await service.container.conn.database.write(lambda c: jobs.enqueue(c, thread["id"], "title", "title"))
    check_problem(await alice.get("/metrics"), 403, "forbidden")
    check_problem(await (await service.anonymous()).get("/metrics"), 401, "unauthorized")
    figures = await admin.get("/metrics")
    assert figures.headers["content-type"].startswith("text/plain; version=0.0.4")
    values = dict(line.rsplit(" ", 1) for line in figures.text.splitlines() if not line.startswith("#"))
    states = ("queued", "running", "failed")
    assert sum(float(values[f'ai_agents_jobs{{status="{state}"}}']) for state in states) <= 1
    assert float(values["ai_agents_jobs_oldest_age_seconds"]) >= 0
    assert values["ai_agents_workers"] == "0.0"
    assert values["ai_agents_streams_open"] == "0.0"


@pytest.mark.parametrize(
    "name", ["https://issuer.example|a/b", "a/b", "/", "//a/", "a/limits", "\u00fc ?#%2F;"], ids=ascii
)
async def test_a_user_with_any_id_is_erased(service: Service, name: str) -> None:
    admin, user = await service.admin(), await service.user(name)
    agent = await make_agent(user)

    asked = await admin.delete(f"/users/{quote(name, safe='')}")

    assert asked.status_code == 202
    await eventually(lambda: job_of(admin, "erase_user"))
    check_problem(await user.get("/me"), 401, "unauthorized")
    check_problem(await admin.get(f"/agents/{agent['id']}"), 404, "not_found")
