"""What browsers are told with every answer, so that no page of another origin can show, guess or keep one."""

import asyncio

import orjson
import pytest

from tests.api.live import Live
from tests.api.service import Service, make_thread


async def test_every_answer_is_of_its_type_in_no_frame_and_never_kept(service: Service) -> None:
    alice = await service.user("alice")
    thread = await make_thread(alice)
    answers = [
        await (await service.admin()).post("/keys", json={"user_id": "bob"}),
        await alice.post("/agents", json={"name": "assistant"}),
        await alice.get(f"/threads/{thread['id']}"),
        await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hello!"}),
        await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hello!", "stream": True}),
        await alice.get("/agents/missing"),
        await alice.get("/nowhere"),
        await alice.put("/agents", json={}),
        await alice.get("/agents", headers={"x-padding": "x" * 40_000}),
        await (await service.anonymous()).get("/agents"),
        await (await service.anonymous()).get("/openapi.json"),
    ]

    for answer in answers:
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
        if "json" in answer.headers["content-type"]:
            assert answer.headers.get_list("cache-control") == ["no-store"]


@pytest.mark.parametrize("page", ["/", "/docs", "/assets/js/docs.js"])
async def test_pages_keep_their_own_policy(service: Service, page: str) -> None:
    answer = await (await service.anonymous()).get(page)

    policy = answer.headers.get_list("content-security-policy")
    assert len(policy) == 1
    assert "script-src 'self'" in policy[0]
    assert "frame-ancestors 'none'" in policy[0]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers.get_list("cache-control") == ["no-cache"]


@pytest.mark.parametrize("sent", [b"\x16\x03\x01 hello", b"GET / HTTP/1.1\r\nbad header\r\n\r\n", b"GET\r\n\r\n"])
async def test_what_is_no_http_is_answered_with_a_problem(live: Live, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection(*live.server.servers[0].sockets[0].getsockname()[:2])
    writer.write(sent)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()

    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"x-content-type-options: nosniff" in head
    assert b"\r\nserver:" not in head
    problem = orjson.loads(body)
    assert (problem["status"], problem["code"]) == (400, "invalid_request")
    assert f"x-request-id: {problem['request_id']}".encode() in head
