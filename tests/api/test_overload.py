"""A process with more work than it can do refuses some requests quickly, rather than all of them slowly."""

import asyncio
import time
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from ai_agents.core.exceptions import Overloaded
from app.overload import Overload
from tests.api.live import TIMEOUT_S, events_of, next_of, serve
from tests.api.service import check_problem, make_thread, settings_for

LATE_S = 0.03
# As many streams are open.
CROWD = [None] * 100


async def test_it_refuses_while_the_event_loop_is_late_for_long_and_no_longer() -> None:
    overload = Overload(late_s=LATE_S, late_for_s=0.2)
    overload.open(CROWD.__len__)
    with capture_logs() as logs:
        async with asyncio.timeout(TIMEOUT_S):
            while not overload.share:
                work(2 * LATE_S)
                await asyncio.sleep(0)
        overload.share = 1.0
        with pytest.raises(Overloaded):
            overload.check()
        overload.share = 0.1
        async with asyncio.timeout(TIMEOUT_S):
            while overload.share:
                await asyncio.sleep(0.02)
    for _ in range(100):
        overload.check()
    overload.close()
    assert [(line["event"], line["refused"]) for line in logs] == [("overloaded: new requests are refused", 1)]


def work(seconds: float) -> None:
    """Keep a core busy, so that nothing else of this process goes on."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


async def test_one_long_turn_and_stops_of_the_process_are_no_overload() -> None:
    overload = Overload(late_s=0.1, late_for_s=0.05)
    overload.open(CROWD.__len__)
    work(0.4)
    await asyncio.sleep(0.25)
    assert overload.share == 0
    for _ in range(4):
        time.sleep(0.3)  # as a process that is stopped, or has no processor
        await asyncio.sleep(0)
    assert overload.share == 0
    overload.close()


async def test_a_busy_machine_is_no_overload_of_a_process_with_little_to_do() -> None:
    """To refuse the next request would help none: what makes the loop late is something else."""
    overload = Overload(late_s=LATE_S, late_for_s=0.1)
    overload.open(lambda: 3)
    for _ in range(10):
        work(2 * LATE_S)
        await asyncio.sleep(0)
    assert overload.share == 0
    overload.close()


def test_a_share_of_requests_is_just_that_share() -> None:
    overload = Overload()
    overload.share = 0.3

    def is_refused() -> bool:
        try:
            overload.check()
        except Overloaded:
            return True
        return False

    assert 299 <= sum(is_refused() for _ in range(1000)) <= 301


async def test_open_streams_health_and_operators_are_served_all_the_same(sqlite_url: str, tmp_path: Path) -> None:
    async with serve(settings_for(sqlite_url, tmp_path)) as live:
        alice, admin = await live.user("alice"), await live.admin()
        thread = await make_thread(alice)
        path = f"/threads/{thread['id']}/events"
        ticket = (await alice.post("/tickets", json={"thread_id": thread["id"]})).json()["ticket"]
        overload: Overload = live.app.state.overload
        async with alice.stream("GET", path) as stream:
            overload.close()  # looks no longer, and so changes nothing by itself
            overload.share = 1.0
            refused = await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hello!"})
            check_problem(refused, 503, "overloaded")
            assert refused.headers["retry-after"] == "2"
            async with httpx.AsyncClient(base_url=live.server.address, trust_env=False) as browser:
                # A status would end an EventSource for ever.
                later = await browser.get(f"{path}?ticket={ticket}", headers={"accept": "text/event-stream"})
                assert (later.status_code, later.text) == (200, "retry: 5000\n\n")
                for each in ("/livez", "/readyz", "/"):
                    assert (await browser.get(each)).status_code == 200
            said = await admin.post(f"/threads/{thread['id']}/messages", json={"content": "Hello!"})
            assert said.status_code == 201
            await next_of(events_of(stream), "run.completed")
        overload.share = 0.0
        said = await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hello again!"})
        assert said.status_code == 201
        history = (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"]
        assert [message["role"] for message in history] == ["user", "assistant"] * 2


async def until_none_in_hand(overload: Overload) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while overload.in_hand:
            await asyncio.sleep(0.01)


async def test_too_many_requests_in_hand_are_refused_but_none_that_waits_for_others(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with serve(settings_for(sqlite_url, tmp_path, echo_delay_s=0.1)) as live:
        alice = await live.user("alice")
        overload: Overload = live.app.state.overload
        thread, other = await make_thread(alice), await make_thread(alice)
        said = {"content": "one two three four five six"}
        async with alice.stream("GET", f"/threads/{thread['id']}/events") as stream:
            # A stream, two runs that are waited for, and a body that has not come yet.
            waiting = asyncio.create_task(alice.post(f"/threads/{thread['id']}/messages", json=said))
            streaming = asyncio.create_task(
                alice.post(f"/threads/{other['id']}/messages", json=said | {"stream": True})
            )
            address = live.server.servers[0].sockets[0].getsockname()[:2]
            _, writer = await asyncio.open_connection(*address)
            key = alice.headers["authorization"]
            head = f"POST /agents HTTP/1.1\r\nhost: service\r\nauthorization: {key}\r\ncontent-length: 9\r\n"
            writer.write(head.encode() + b"content-type: application/json\r\n\r\n{")
            await next_of(events_of(stream), "run.started")
            await until_none_in_hand(overload)
            assert not waiting.done()
            overload.most_in_hand = 0
            check_problem(await alice.get("/agents"), 503, "overloaded")
            overload.most_in_hand = 1
            assert (await alice.get("/agents")).status_code == 200
            writer.close()
            assert [(await each).status_code for each in (waiting, streaming)] == [201, 200]
        await until_none_in_hand(overload)
