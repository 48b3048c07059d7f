"""Logs that are trimmed after a time: what is gone is said to be gone, on every way of reading it."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from ai_agents.client import Client, ServiceProblem
from ai_agents.core.exceptions import LogTrimmed
from ai_agents.core.ids import format_time
from ai_agents.core.problems import problem_with
from ai_agents.store import idempotency
from ai_agents.workers.retention import log_border
from tests.api.live import Live, events_of, next_of, read_all, serve
from tests.api.service import check_problem, settings_for
from tests.api.test_jobs import job_of
from tests.client.conftest import key_of
from tests.docs.examples import FENCE
from tests.docs.site import page
from tests.support.trimming import grow_old, trim_logs
from tests.support.waiting import eventually

JSON = {"accept": "application/json"}
SSE = {"accept": "text/event-stream"}


async def talk(live: Live, alice: httpx.AsyncClient, *answers: Any) -> tuple[str, list[str]]:
    """The path of a thread with some turns, and the ids of its runs, oldest first."""
    thread = await live.scripted_thread(alice, *answers)
    path = f"/threads/{thread['id']}"
    for number in range(len(answers)):
        answer = await alice.post(f"{path}/messages", json={"content": f"Question {number}?"})
        assert answer.status_code == 201, answer.text
    runs = (await alice.get(f"{path}/runs")).json()["data"]
    return path, [run["id"] for run in reversed(runs)]


def check_trimmed(answer: httpx.Response, seq: int) -> None:
    problem = check_problem(answer, 410, "log_trimmed")
    assert (problem["trimmed_seq"], problem["last_event_id"]) == (seq, f"{seq}-0")
    assert f"after the event {seq}-0" in problem["detail"]


def test_the_problem_that_the_docs_show_is_as_it_is_sent() -> None:
    shown = next(json.loads(each["body"]) for each in FENCE.finditer(page("streaming").read_text())
                 if "log_trimmed" in each["body"])  # fmt: skip
    error = LogTrimmed(shown["trimmed_seq"])
    told = problem_with(error.code, str(error)) | {"trimmed_seq": 41, "last_event_id": error.last_event_id}
    assert shown == told | {"request_id": shown["request_id"]}


async def get_with_ticket(live: Live, path: str, **query: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=live.server.address, trust_env=False) as browser:
        return await browser.get(path, params=query)


async def test_what_is_gone_is_said_and_the_messages_and_the_rest_of_the_log_are_there(live: Live) -> None:
    alice = await live.user("alice")
    path, (first, second) = await talk(live, alice, "One.", "Two.")
    await live.container.conn.database.write(grow_old)
    events, before = f"{path}/events", (await alice.get(f"{path}/messages")).json()
    run = (await alice.get(f"{path}/runs/{first}")).json()
    whole = (await alice.get(events, headers=JSON)).json()["data"]
    await trim_logs(live.container.conn.database)

    assert [(row["seq"], row["type"]) for row in whole][4:] == [(5, "message.completed"), (6, "run.completed")]
    assert (await alice.get(f"{path}/messages")).json() == before
    assert (await alice.get(f"{path}/runs/{first}")).json() == run
    ticket = (await alice.post("/tickets", json={"thread_id": path.removeprefix("/threads/")})).json()["ticket"]
    for gone in (
        alice.get(events, headers=SSE | {"last-event-id": "4-0"}),
        alice.get(events, params={"last_event_id": "0-0"}),
        get_with_ticket(live, events, last_event_id="0-0", ticket=ticket),
        alice.get(events, headers=JSON),
        alice.get(events, headers=JSON, params={"after": "2-0"}),
        alice.get(events, headers=JSON, params={"after": "6-0", "order": "desc"}),
        *(alice.get(f"{path}/runs/{run_id}/events") for run_id in (first, second)),
        alice.get(f"{path}/runs/{second}/events", headers={"last-event-id": "5-3"}),
    ):
        check_trimmed(await gone, 5)
    newest = (await alice.get(events, headers=JSON, params={"order": "desc"})).json()
    assert newest["data"] == whole[5:]
    check_trimmed(await alice.get(events, headers=JSON, params={"order": "desc", "after": newest["next"]}), 5)
    rest = (await alice.get(events, headers=JSON, params={"after": "5-0"})).json()
    assert (rest["data"], rest["next"]) == (whole[5:], None)
    assert (await alice.get(f"{path}/runs/{second}/events", headers={"last-event-id": "6-0"})).status_code == 204
    check_problem(await alice.get(events, params={"last_event_id": "7-0"}), 400, "invalid_event_id")

    # It goes on as ever.
    async with alice.stream("GET", events, params={"last_event_id": "5-0"}) as response:
        stream = events_of(response)
        assert (await next_of(stream, "run.completed")).id == "6-0"
        said = await alice.post(f"{path}/messages", json={"content": "And now?"})
        assert said.status_code == 201
        started = await next_of(stream, "run.started")
    assert [each.event for each in await read_all(alice, f"{path}/runs/{started.data['run_id']}/events")] == [
        "run.started", "message.completed", "run.completed",
    ]  # fmt: skip
    assert (await alice.get(f"{path}/messages", params={"around": before["data"][0]["id"]})).status_code == 200
    forked = (await alice.post(f"{path}/fork", json={"message_id": before["data"][1]["id"]})).json()
    assert len((await alice.get(f"/threads/{forked['id']}/messages")).json()["data"]) == 2


async def test_a_run_that_is_not_over_keeps_its_events_however_old_they_are(small_live: Live) -> None:
    alice, gate = await small_live.user("alice"), asyncio.Event()
    path, _ = await talk(small_live, alice, "One.")
    small_live.container.providers.get("scripted").answers.append(["Tw", gate, "o."])  # type: ignore[attr-defined]  # a ScriptedProvider
    sent = {"content": "Wait", "stream": True}
    async with alice.stream("POST", f"{path}/messages", json=sent) as response:
        stream = events_of(response)
        run_id = (await next_of(stream, "run.started")).data["run_id"]
        await next_of(stream, "message.delta")
        await trim_logs(small_live.container.conn.database)
        check_trimmed(await alice.get(f"{path}/events", headers=JSON, params={"after": "2-0"}), 3)
        again = asyncio.create_task(read_all(alice, f"{path}/runs/{run_id}/events", **{"last-event-id": "4-2"}))
        gate.set()
        await next_of(stream, "run.completed")
    assert "".join(each.data["text"] for each in await again if each.event == "message.delta") == "wo."


async def test_a_reader_that_is_far_behind_is_ended_and_told_when_it_comes_back(small_live: Live) -> None:
    alice, live = await small_live.user("alice"), small_live
    path, _ = await talk(live, alice, "One.")
    reader = await live.container.runner.read_thread(path.removeprefix("/threads/"), after="1-0")
    await trim_logs(live.container.conn.database)
    async with asyncio.timeout(60):
        assert [event async for event in reader.events()] == []
    check_trimmed(await alice.get(f"{path}/events", params={"last_event_id": "1-0"}), 2)


async def test_retention_trims_logs_once_an_hour_and_says_how_many_rows(sqlite_url: str, tmp_path: Path) -> None:
    async with serve(settings_for(sqlite_url, tmp_path, retain_log_days=30)) as live:
        alice, admin = await live.user("alice"), await live.admin()
        path, _ = await talk(live, alice, "One.")
        await live.container.conn.database.write(grow_old)
        young, _ = await talk(live, alice, "Two.")
        live.container.conn.executor.request_sweep()  # the periodic tasks run now, not in a minute
        job = await eventually(lambda: job_of(admin, "retention"))

        assert job["result"] == {"threads": 0, "files": 0, "log_rows": 2}
        check_trimmed(await alice.get(f"{path}/events", headers=JSON), 2)
        assert len((await alice.get(f"{young}/events", headers=JSON)).json()["data"]) == 3
        kept = (await admin.get("/audit", params={"action": "retention.remove"})).json()["data"]
        assert kept[0]["details"]["log_rows"] == 2


def test_what_a_repeated_request_is_answered_with_stays_however_short_logs_are_kept() -> None:
    now = datetime.now(UTC)
    one, two = log_border(1), log_border(2)
    assert one is not None
    assert two is not None
    # A clock that is ahead by minutes removes nothing that another process may still be asked for.
    assert one < format_time(now - idempotency.KEPT - timedelta(minutes=59))
    assert format_time(now - timedelta(days=2, minutes=1)) < two < format_time(now - timedelta(days=1, hours=23))
    assert log_border(None) is None


async def test_a_program_reads_the_messages_and_goes_on_where_the_service_says(small_live: Live) -> None:
    alice = await small_live.user("alice")
    path, _ = await talk(small_live, alice, "One.", "Two.")
    thread_id = path.removeprefix("/threads/")
    await trim_logs(small_live.container.conn.database)
    async with Client(small_live.server.address, await key_of(small_live, "alice")) as client:
        with pytest.raises(ServiceProblem) as gone:
            await anext(client.stream_thread_events(thread_id, after="1-0"))
        assert (gone.value.code, gone.value.status) == ("log_trimmed", 410)
        after = gone.value.problem["last_event_id"]
        assert len([each async for each in client.list_messages(thread_id)]) == 4
        assert (await anext(client.stream_thread_events(thread_id, after=after))).type == "run.completed"
        assert [each["seq"] async for each in client.list_thread_events(thread_id, after=after)] == [6]
        following = client.stream_thread_events(thread_id)
        coming = asyncio.create_task(anext(following))
        await eventually(lambda: _is_open(small_live))
        await client.update_thread(thread_id, title="New")
        assert (await coming).type == "thread.updated", "one that begins now has nothing to do with what is gone"


async def _is_open(live: Live) -> bool:
    return bool(len(live.app.state.streams))


async def test_an_idle_thread_is_not_older_than_it_is_because_its_log_is_trimmed(small_live: Live) -> None:
    """Its last row stays, of which retention of threads asks when it was."""
    alice, live = await small_live.user("alice"), small_live
    path, _ = await talk(live, alice, "One.")
    await alice.post(f"{path}/fork", json={"message_id": (await alice.get(f"{path}/messages")).json()["data"][0]["id"]})
    await trim_logs(live.container.conn.database)
    found = text("SELECT count(*) FROM threads t WHERE NOT EXISTS "
                 "(SELECT 1 FROM thread_events e WHERE e.thread_id = t.id AND e.seq = t.last_seq)")  # fmt: skip
    assert await live.container.conn.database.read(lambda c: c.execute(found).scalar_one()) == 0
