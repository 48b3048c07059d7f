"""Events of threads: as streams and as a list, and how streams begin and end."""

import asyncio
import socket
from pathlib import Path

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.event_streams import OpenStreams
from tests.api.live import TIMEOUT_S, Live, events_of, next_of, serve, text_of
from tests.api.service import check_problem, give_role, settings_for
from tests.support.waiting import eventually


async def test_a_threads_stream_shows_what_others_cause(live: Live) -> None:
    alice, bob = await live.user("alice"), await live.user("bob")
    thread = await live.scripted_thread(alice, ["Hel", "lo!"])
    path = f"/threads/{thread['id']}"
    await give_role(alice, "bob", "viewer", "thread", thread["id"])

    async with bob.stream("GET", f"{path}/events") as response:
        stream = events_of(response)
        await alice.patch(path, json={"title": "New"})
        updated = await next_of(stream, "thread.updated")
        await alice.post(f"{path}/messages", json={"content": "Hi"})
        completed = await next_of(stream, "run.completed")
        await alice.delete(path)
        deleted = await next_of(stream, "thread.deleted")
        rest = [event async for event in stream]

    assert updated.data["thread"]["title"] == "New"
    assert completed.data["run"]["status"] == "completed"
    assert deleted.data["thread"]["id"] == thread["id"]
    assert rest == []


async def test_a_stream_resumes_in_the_middle_of_a_word(live: Live) -> None:
    alice = await live.user("alice")
    gate = asyncio.Event()
    thread = await live.scripted_thread(alice, ["Hello, ", gate, "world!"])
    path = f"/threads/{thread['id']}"
    await alice.post(f"{path}/messages", json={"content": "Hi"}, headers={"prefer": "respond-async"})

    async with alice.stream("GET", f"{path}/events?last_event_id=1-4") as response:
        stream = events_of(response)
        rest = await next_of(stream, "message.delta")
        gate.set()
        more = await next_of(stream, "message.delta")

    assert (rest.data["text"], rest.data["offset"]) == ("lo, ", 3)
    assert (more.data["text"], more.data["offset"]) == ("world!", 7)


async def test_the_log_is_a_list_for_those_who_ask_for_json(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "Hello!")
    path = f"/threads/{thread['id']}"
    await alice.post(f"{path}/messages", json={"content": "Hi"})
    asked = {"accept": "application/json"}

    page = (await alice.get(f"{path}/events", params={"limit": 2}, headers=asked)).json()
    rest = (await alice.get(f"{path}/events", params={"after": page["next"]}, headers=asked)).json()
    newest = (await alice.get(f"{path}/events", params={"order": "desc", "limit": 1}, headers=asked)).json()

    rows = page["data"] + rest["data"]
    assert [(row["seq"], row["type"]) for row in rows] == [
        (1, "run.started"),
        (2, "message.completed"),
        (3, "run.completed"),
    ]
    assert all(row["created_at"].endswith("Z") and row["thread_id"] == thread["id"] for row in rows)
    assert rows[0]["user_message"]["content"] == "Hi"
    assert rest["next"] is None
    assert newest["data"] == rows[-1:]
    for after in ("x", "99-0", "%00"):
        check_problem(await alice.get(f"{path}/events?after={after}", headers=asked), 400, "invalid_event_id")


async def test_each_block_of_a_stream_that_is_no_comment_is_an_event(live: Live) -> None:
    """Some readers take a block with nothing but `retry:` for an event without data."""
    alice = await live.user("alice")
    gate = asyncio.Event()
    thread = await live.scripted_thread(alice, ["Hel", gate, "lo!"])
    live.container.conn.readers.silence_of_run_s = 0.05

    sent = {"content": "Hi", "stream": True}
    async with alice.stream("POST", f"/threads/{thread['id']}/messages", json=sent) as response:
        said = ""
        async for text in response.aiter_text():
            said += text
            if said.count(": ping") == 2:
                gate.set()

    comment, first, *blocks = said.removesuffix("\n\n").split("\n\n")
    assert comment == ": ok"
    assert first.startswith("retry: 1000\nevent: run.started\n")
    assert [each for each in blocks if not each.startswith(("event: ", ": ping"))] == []


async def test_a_runs_stream_is_never_silent_for_longer_than_clients_wait(live: Live) -> None:
    """Clients that read for five seconds at most, as httpx does by default, wait for slow models."""
    readers = live.container.conn.readers

    assert readers.silence_of_run_s < 5
    assert readers.silence_of_run_s < readers.silence_of_thread_s <= readers.look_again_s


def is_full(connection: object) -> bool:
    """Whether the server has bytes for this connection that its reader does not take."""
    assert isinstance(connection, HttpToolsProtocol)
    return connection.flow.write_paused


async def test_a_reader_that_left_is_let_go_of(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice)
    streams: OpenStreams = live.app.state.streams

    async with alice.stream("GET", f"/threads/{thread['id']}/events") as response:
        assert response.status_code == 200
        assert len(streams) == 1

    await eventually(lambda: len(streams) == 0)


async def test_each_stream_has_an_id_of_its_own(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice)

    for sent in ("one", "two"):
        headers = {"x-request-id": sent}
        async with alice.stream("GET", f"/threads/{thread['id']}/events", headers=headers) as response:
            assert response.headers.get_list("x-request-id") == [sent]


async def test_a_reader_that_stops_reading_and_leaves_is_let_go_of(live: Live) -> None:
    """Its connection is full, so that the stream is blocked when the client leaves."""
    alice = await live.user("alice")
    text = "x" * 100_000
    thread = await live.scripted_thread(alice, *([text] * 200))
    for _ in range(60):
        await alice.post(f"/threads/{thread['id']}/messages", json={"content": text})
    streams: OpenStreams = live.app.state.streams
    key = alice.headers["authorization"]
    request = (
        f"GET /threads/{thread['id']}/events?last_event_id=0-0 HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n\r\n"
    )
    host, port = live.server.servers[0].sockets[0].getsockname()

    with socket.create_connection((host, port)) as client:
        client.setblocking(False)
        await asyncio.get_running_loop().sock_sendall(client, request.encode())
        await eventually(lambda: len(streams) == 1)
        await eventually(lambda: any(is_full(each) for each in live.server.server_state.connections))

    await eventually(lambda: len(streams) == 0)
    await eventually(lambda: live.container.conn.database.checked_out() == 0)


async def test_open_streams_hold_no_database_connection(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice)
    streams: OpenStreams = live.app.state.streams
    responses = [alice.stream("GET", f"/threads/{thread['id']}/events") for _ in range(30)]

    opened = [await each.__aenter__() for each in responses]

    assert {response.status_code for response in opened} == {200}
    assert len(streams) == 30
    await eventually(lambda: live.container.conn.database.checked_out() == 0)
    for each in responses:
        await each.__aexit__(None, None, None)


async def test_one_user_has_so_many_streams_and_no_more(sqlite_url: str, tmp_path: Path) -> None:
    async with serve(settings_for(sqlite_url, tmp_path, max_streams_per_user=2)) as live:
        alice, bob = await live.user("alice"), await live.user("bob")
        thread = await live.scripted_thread(alice, "Hello!")
        await give_role(alice, "bob", "viewer", "thread", thread["id"])
        path = f"/threads/{thread['id']}"

        async with alice.stream("GET", f"{path}/events"), alice.stream("GET", f"{path}/events"):
            refused = [
                await alice.get(f"{path}/events"),
                await alice.post(f"{path}/messages", json={"content": "Hi", "stream": True}),
            ]
            async with bob.stream("GET", f"{path}/events") as response:
                assert response.status_code == 200

        for each in refused:
            assert "2" in check_problem(each, 429, "rate_limited")["detail"]
            assert int(each.headers["retry-after"]) > 0
        assert (await alice.get(f"{path}/messages")).json()["data"] == []


async def test_a_run_under_way_ends_for_its_readers_before_the_process_does(live: Live) -> None:
    alice = await live.user("alice")
    gate = asyncio.Event()
    thread = await live.scripted_thread(alice, ["Hello, ", gate, "world!"])
    path = f"/threads/{thread['id']}/messages"

    async with alice.stream("POST", path, json={"content": "Hi", "stream": True}) as response:
        stream = events_of(response)
        seen = await next_of(stream, "message.delta")
        live.server.stop()
        await eventually(lambda: live.app.state.draining is not None)
        gate.set()
        rest = [event async for event in stream]

    assert text_of([seen, *rest]) == "Hello, world!"
    assert rest[-1].event == "run.completed"
    await asyncio.wait_for(live.serving, TIMEOUT_S)


async def test_an_idle_stream_goes_on_in_the_next_process(database_url: str, tmp_path: Path) -> None:
    async with serve(settings_for(database_url, tmp_path)) as live:
        alice = await live.user("alice")
        key = alice.headers["authorization"]
        thread = await live.scripted_thread(alice)
        path = f"/threads/{thread['id']}"
        async with alice.stream("GET", f"{path}/events") as response:
            stream = events_of(response)
            await alice.patch(path, json={"title": "One"})
            seen = await next_of(stream, "thread.updated")
            live.server.stop()
            assert [event async for event in stream] == []  # no error: the body is complete
        await asyncio.wait_for(live.serving, TIMEOUT_S)

    async with serve(settings_for(database_url, tmp_path)) as live:
        alice = await live.admin()
        alice.headers["authorization"] = key
        await alice.patch(path, json={"title": "Two"})
        async with alice.stream("GET", f"{path}/events", headers={"last-event-id": seen.id}) as response:
            missed = await next_of(events_of(response), "thread.updated")

    assert missed.data["thread"]["title"] == "Two"


async def test_a_process_that_stops_takes_no_new_messages(live: Live) -> None:
    alice = await live.user("alice")
    thread = await live.scripted_thread(alice, "Hello!")
    await live.app.state.begin_drain()

    response = await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi"})

    check_problem(response, 503, "overloaded")
    assert int(response.headers["retry-after"]) > 0
    async with alice.stream("GET", f"/threads/{thread['id']}/events") as stream:
        assert stream.status_code == 200
        assert [event async for event in events_of(stream)] == []


async def test_a_stream_ends_when_the_right_to_read_it_is_lost(live: Live) -> None:
    alice, bob = await live.user("alice"), await live.user("bob")
    thread = await live.scripted_thread(alice)
    await give_role(alice, "bob", "viewer", "thread", thread["id"])
    query = {"resource_type": "thread", "resource_id": thread["id"]}
    role = next(each for each in (await alice.get("/roles", params=query)).json()["data"] if each["user_id"] == "bob")

    async with bob.stream("GET", f"/threads/{thread['id']}/events") as response:
        await alice.delete(f"/roles/{role['id']}")
        async with asyncio.timeout(TIMEOUT_S):
            assert [event async for event in events_of(response)] == []

    check_problem(await bob.get(f"/threads/{thread['id']}/events"), 404, "not_found")
