"""Bad input: it always answers a problem with its code, never a 5xx."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest

from tests.api.service import (
    JSON,
    UNKNOWN_ID,
    Service,
    check_problem,
    make_agent,
    make_thread,
    open_service,
    raw_header,
    settings_for,
)

DEEP = b'{"name": "x", "metadata": {"a": ' + b"[" * 500 + b"]" * 500 + b"}}"
BAD_AGENTS = {
    "unknown field": b'{"name": "x", "colour": "red"}',
    "wrong type": b'{"name": 7}',
    "null for a name": b'{"name": null}',
    "no name": b"{}",
    "a list": b"[]",
    "a text": b'"name"',
    "nothing": b"",
    "malformed": b'{"name": "x"',
    "NaN": b'{"name": "x", "settings": {"temperature": NaN}}',
    "infinity": b'{"name": "x", "settings": {"temperature": 1e400}}',
    "NUL": b'{"name": "a\\u0000b"}',
    "NUL in a key": b'{"name": "x", "metadata": {"a\\u0000b": 1}}',
    "NUL in metadata": b'{"name": "x", "metadata": {"a": ["\\u0000"]}}',
    "raw NUL": b'{"name": "a\0b"}',
    "lone surrogate": b'{"name": "\\ud800"}',
    "invalid UTF-8": b'{"name": "\xff\xfe"}',
    "byte order mark": b'\xef\xbb\xbf{"name": "x"}',
    "integer beyond 64 bits": b'{"name": "x", "metadata": {"n": 18446744073709551616}}',
    "integer of a thousand digits": b'{"name": "x", "metadata": {"n": ' + b"9" * 1000 + b"}}",
    "negative integer beyond 64 bits": b'{"name": "x", "metadata": {"n": -9223372036854775809}}',
    "deep": DEEP,
    "deeper than a parser goes": DEEP.replace(b"[", b"[" * 10).replace(b"]", b"]" * 10),
    "blank name": b'{"name": "   "}',
    "name of two lines": b'{"name": "a\\nb"}',
    "long name": b'{"name": "' + b"x" * 201 + b'"}',
    "temperature out of range": b'{"name": "x", "settings": {"temperature": 3}}',
    "temperature as text": b'{"name": "x", "settings": {"temperature": "0.5"}}',
    "unknown setting": b'{"name": "x", "settings": {"heat": 1}}',
    "unknown provider": b'{"name": "x", "provider": "nobody"}',
    "unknown tool": b'{"name": "x", "tools": ["nothing"]}',
    "tool twice": b'{"name": "x", "tools": ["calculator", {"name": "calculator"}]}',
    "unknown strategy": b'{"name": "x", "memory": {"strategy": "none"}}',
    "strategy out of range": b'{"name": "x", "memory": {"strategy": "last_n", "n": 0}}',
    "step out of range": b'{"name": "x", "memory": {"strategy": "first_last", "step": 1001}}',
    "unknown guardrail": b'{"name": "x", "guardrails": [{"type": "nothing"}]}',
    "unknown fallback": b'{"name": "x", "fallbacks": [{"provider": "nobody", "model": "m"}]}',
    "metadata too large": orjson.dumps({"name": "x", "metadata": {"a": "x" * 16_384}}),
    "metadata too large in UTF-8": orjson.dumps({"name": "x", "metadata": {"a": "ü" * 8_192}}),
    "metadata not an object": b'{"name": "x", "metadata": []}',
    "long prompt": orjson.dumps({"name": "x", "system_prompt": "x" * 100_001}),
    "a guardrail with an unknown option": b'{"name": "x", "guardrails": [{"type": "secrets", "kinds": ["aws"]}]}',
    "more kinds than there are": orjson.dumps({"name": "x", "guardrails": [{"type": "pii", "kinds": ["ip"] * 6}]}),
    "a pattern without an end": b'{"name": "x", "guardrails": [{"type": "blocklist", "patterns": ["/a+/"]}]}',
    "a pattern that looks around": b'{"name": "x", "guardrails": [{"type": "blocklist", "patterns": ["/(?=a)b/"]}]}',
    "a pattern that is none": b'{"name": "x", "guardrails": [{"type": "blocklist", "patterns": ["/(/"]}]}',
    "a pattern too large": b'{"name": "x", "guardrails": [{"type": "blocklist", "patterns": ["/(a{9}){999}/"]}]}',
    "patterns of nothing": b'{"name": "x", "guardrails": [{"type": "blocklist", "patterns": ["\\u200b"]}]}',
    "a judge of nobody": (
        b'{"name": "x", "guardrails": [{"type": "judge", "provider": "nobody", "model": "m", "policy": "p"}]}'
    ),
    "an output schema of no object": b'{"name": "x", "output_schema": {}}',
    "an output schema that is none": b'{"name": "x", "output_schema": {"type": "object", "properties": 7}}',
    "an output schema from elsewhere": b'{"name": "x", "output_schema": {"type": "object", "$ref": "http://x.y/z"}}',
    "a large output schema": orjson.dumps(
        {"name": "x", "output_schema": {"type": "object", "description": "x" * 65_536}}
    ),
    "an API that the provider has not": b'{"name": "x", "provider": "ollama", "settings": {"api": "responses"}}',
    "approval in another word": b'{"name": "x", "tools": [{"name": "calculator", "approval": "maybe"}]}',
    "a tool of no server": b'{"name": "x", "tools": ["shop/price"]}',
    "all tools of no server": b'{"name": "x", "tools": ["shop/*"]}',
}
BAD_CONTENTS = {
    "empty": '""',
    "blank": '" \\n "',
    "a number": "7",
    "null": "null",
    "no parts": "[]",
    "a part of no type": '[{"text": "x"}]',
    "a part of an unknown type": '[{"type": "image", "url": "x"}]',
    "a tool's result": '[{"type": "tool_result", "tool_call_id": "x", "name": "x", "result": "x", "is_error": false}]',
    "a part with more": '[{"type": "text", "text": "x", "role": "system"}]',
    "an unknown file": f'[{{"type": "text", "text": "x"}}, {{"type": "file", "file_id": "{UNKNOWN_ID}"}}]',
    "too long": '"' + "x" * 100_001 + '"',
    "too long in parts": '[{"type": "text", "text": "'
    + "x" * 60_000
    + '"}, {"type": "text", "text": "'
    + "x" * 60_000
    + '"}]',
    "too many parts": orjson.dumps([{"type": "text", "text": "x"}] * 1_001).decode(),
    "NUL": '"a\\u0000b"',
    "lone surrogate": '"\\udc00"',
}


@pytest.mark.parametrize("body", BAD_AGENTS.values(), ids=BAD_AGENTS)
async def test_a_bad_agent_is_refused_and_nothing_is_kept(shared_service: Service, body: bytes) -> None:
    alice = await shared_service.user("alice")

    response = await alice.post("/agents", content=body, headers=JSON)

    problem = check_problem(response, 422, "invalid_request")
    assert problem["errors"]
    assert all(error["loc"][0] == "body" and error["msg"] for error in problem["errors"])
    assert (await alice.get("/agents")).json() == {"data": [], "next": None}


@pytest.mark.parametrize("content", BAD_CONTENTS.values(), ids=BAD_CONTENTS)
async def test_a_bad_message_is_refused_and_nothing_is_kept(shared_service: Service, content: str) -> None:
    alice = await shared_service.user("alice")
    thread = await make_thread(alice)

    body = f'{{"content": {content}}}'.encode()
    response = await alice.post(f"/threads/{thread['id']}/messages", content=body, headers=JSON)

    check_problem(response, 422, "invalid_request")
    for kept in ("messages", "runs"):
        assert (await alice.get(f"/threads/{thread['id']}/{kept}")).json()["data"] == []


async def test_a_refused_value_is_not_repeated(shared_service: Service) -> None:
    alice = await shared_service.user("alice")
    secret = "sk-very-secret"

    response = await alice.post("/agents", json={"name": "x", "provider": 7, "memory": {"strategy": secret}})
    unread = await alice.post("/agents", content=f'{{"name": {secret}}}'.encode(), headers=JSON)

    assert secret not in check_problem(response, 422, "invalid_request")["detail"] + response.text
    assert secret not in unread.text


async def test_the_place_of_each_mistake_is_named(shared_service: Service) -> None:
    alice = await shared_service.user("alice")

    response = await alice.post("/agents", json={"settings": {"top_p": 2}, "tools": [7]})

    locs = [tuple(error["loc"]) for error in response.json()["errors"]]
    assert ("body", "name") in locs
    assert ("body", "settings", "top_p") in locs
    assert any(loc[:3] == ("body", "tools", 0) for loc in locs)


async def test_a_mistake_is_told_at_the_place_and_in_the_words_of_the_client(shared_service: Service) -> None:
    alice = await shared_service.user("alice")
    messages = f"/threads/{(await make_thread(alice))['id']}/messages"
    told = {}
    for path, body in (
        ("/agents", b""),
        ("/agents", b'{"name":\n "x"'),
        ("/agents", b'{"name": "x", "memory": "last_n"}'),
        ("/agents", b'{"name": "x", "memory": {"strategy": "last_n", "n": 0}}'),
        ("/agents", b'{"name": "x", "guardrails": [{"type": "judge", "provider": "echo", "model": "m"}]}'),
        (messages, b'{"content": 7}'),
        (messages, b'{"content": [{"type": "image"}]}'),
        (messages, b'{"content": [{"type": "text", "text": 7}]}'),
    ):
        told[body] = check_problem(await alice.post(path, content=body, headers=JSON), 422, "invalid_request")["detail"]
    searched = check_problem(await alice.get("/search", params={"q": ""}), 422, "invalid_request")["detail"]
    unknown = check_problem(await alice.get("/threads", params={"foo": "1"}), 422, "invalid_request")["detail"]
    wrong_method = check_problem(await alice.put("/agents", json={}), 405, "method_not_allowed")["detail"]
    no_json = check_problem(await alice.post("/agents", content=b"{}"), 415, "unsupported_media_type")["detail"]

    assert [*told.values(), searched, unknown, wrong_method, no_json] == [
        "body: is empty; JSON is needed",
        "body: is not JSON that is read here: unexpected end of data, at line 2, column 5",
        "body.memory: should be an object",
        "body.memory.n: should be at least 1",
        "body.guardrails.0.policy: is required",
        "body.content: should be a text, or a list of parts",
        "body.content.0: should have a 'type' that is one of 'text', 'file'",
        "body.content.0.text: should be a text",
        "query.q: should have at least 1 character",
        "query.foo: is not known here",
        "This path takes GET, POST.",
        "Only JSON is read here: send `Content-Type: application/json`.",
    ]


async def test_mistakes_without_end_are_not_all_told(shared_service: Service) -> None:
    alice = await shared_service.user("alice")

    told = {}
    for count in (1_000, 20_000, 50_000):
        body = {"name": "x"} | {f"field{number}": 1 for number in range(count)}
        response = await alice.post("/agents", json=body)
        told[count] = check_problem(response, 422, "invalid_request")["errors"]

    assert len(told[1_000]) == 50
    assert told[20_000] == [{"loc": ["body"], "msg": "has more than 2000 mistakes"}]
    assert told[50_000] == [{"loc": ["body"], "msg": "has more than 25000 values"}]


async def test_numbers_of_64_bits_and_escaped_escapes_pass(service: Service) -> None:
    alice = await service.user("alice")
    metadata = {"big": 2**63 - 1, "small": -(2**63), "digits": "9" * 30, "escape": "\\u0000", "float": 1e300}

    agent = await make_agent(alice, metadata=metadata)

    assert (await alice.get(f"/agents/{agent['id']}")).json()["metadata"] == metadata


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
async def test_a_body_that_is_not_json_is_unsupported(shared_service: Service, media_type: str) -> None:
    alice = await shared_service.user("alice")

    response = await alice.post("/agents", content=b'{"name": "x"}', headers={"content-type": media_type})

    check_problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("encoding", ["gzip", "Deflate", "br, gzip"])
async def test_a_body_that_is_compressed_is_unsupported(shared_service: Service, encoding: str) -> None:
    alice = await shared_service.user("alice")
    headers = {"content-encoding": encoding}

    for asked in (
        alice.post("/agents", content=gzip.compress(b'{"name": "x"}'), headers=JSON | headers),
        alice.post("/files", files={"file": ("a.txt", b"text", "text/plain")}, headers=headers),
    ):
        told = check_problem(await asked, 415, "unsupported_media_type")
        assert "Content-Encoding" in told["detail"]
    plain = await alice.post("/agents", json={"name": "x"}, headers={"content-encoding": "identity"})
    assert plain.status_code == 201


async def test_json_with_a_charset_is_json(shared_service: Service) -> None:
    alice = await shared_service.user("alice")

    response = await alice.post(
        "/agents", content=b'{"name": "x"}', headers={"content-type": "Application/JSON; charset=utf-8"}
    )

    assert response.status_code == 201


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65_536):
        yield b" " * 65_536


@pytest.mark.parametrize("chunked", [False, True])
async def test_ten_megabytes_are_too_large(shared_service: Service, chunked: bool) -> None:
    alice = await shared_service.user("alice")
    thread = await make_thread(alice)

    body = chunks(10_000_000) if chunked else b'{"content": "' + b"x" * 10_000_000 + b'"}'
    response = await alice.post(f"/threads/{thread['id']}/messages", content=body, headers=JSON)

    assert "1048576" in check_problem(response, 413, "payload_too_large")["detail"]


async def test_headers_without_end_are_too_large(shared_service: Service) -> None:
    client = await shared_service.anonymous()

    response = await client.get("/livez", headers={"x-long": "x" * 40_000})

    assert "32768" in check_problem(response, 413, "payload_too_large")["detail"]


@pytest.mark.parametrize(
    "path", ["/nothing", "/agents/", "/AGENTS", "/threads/%00/messages/x/y", "/%ff", "/..%2f..%2fetc"]
)
async def test_an_unknown_path_is_not_found(shared_service: Service, path: str) -> None:
    client = await shared_service.anonymous()

    response = await client.get(path)

    check_problem(response, 404, "not_found")


@pytest.mark.parametrize(
    "method, path, allowed",
    [
        ("PUT", f"/agents/{UNKNOWN_ID}", "DELETE, GET, PATCH"),
        ("DELETE", "/threads", "GET, POST"),
        ("POST", "/livez", "GET"),
    ],
)
async def test_a_405_names_allowed_methods(shared_service: Service, method: str, path: str, allowed: str) -> None:
    response = await (await shared_service.anonymous()).request(method, path)

    check_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == allowed


IDS = ["%00", "a%00b", "%ff", "null", "1", "x" * 5000, "%F0%9F%98%80", "' OR 1=1 --", UNKNOWN_ID.upper()]


async def test_an_id_of_no_form_is_not_found(service: Service) -> None:
    alice = await service.user("alice")

    for malformed in IDS:
        check_problem(await alice.get(f"/threads/{malformed}/messages"), 404, "not_found")
        check_problem(await alice.get(f"/agents/{malformed}/versions"), 404, "not_found")
        check_problem(await alice.delete(f"/keys/{malformed}"), 404, "not_found")


LISTS = ["/agents", "/threads", "/keys"]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("limit", ["0", "-1", "101", "x", "1.5", "9" * 5000, "%00", ""])
async def test_a_limit_out_of_range_is_refused(shared_service: Service, path: str, limit: str) -> None:
    alice = await shared_service.user("alice")

    problem = check_problem(await alice.get(f"{path}?limit={limit}"), 422, "invalid_request")

    assert problem["errors"][0]["loc"] == ["query", "limit"]


CURSORS = ["x", "%00", "e30", "Wy0xXQ", "x" * 5000, "%ff", "WyJhIiwiYiJd", ""]


async def test_a_cursor_from_elsewhere_is_refused(service: Service) -> None:
    alice = await service.user("alice")
    thread = await make_thread(alice)
    inside = f"/threads/{thread['id']}"

    for path in (*LISTS, f"{inside}/messages", f"{inside}/runs", f"/agents/{thread['agent_id']}/versions"):
        for cursor in CURSORS:
            check_problem(await alice.get(f"{path}?after={cursor}"), 400, "invalid_cursor")


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é", "a\tb"])
async def test_an_idempotency_key_of_the_wrong_form_is_refused(shared_service: Service, key: str) -> None:
    alice = await shared_service.user("alice")

    response = await alice.post("/agents", json={"name": "x"}, headers=raw_header("idempotency-key", key))

    check_problem(response, 400, "invalid_idempotency_key")
    assert (await alice.get("/agents")).json()["data"] == []


async def test_threads_of_an_unknown_agent_are_none(service: Service) -> None:
    alice = await service.user("alice")
    await make_thread(alice)

    for agent_id in ("x", "%00", UNKNOWN_ID, "%ff"):
        assert (await alice.get(f"/threads?agent_id={agent_id}")).json() == {"data": [], "next": None}
        check_problem(await alice.get(f"/threads?agent_id={agent_id}&after=x"), 400, "invalid_cursor")


@pytest.mark.parametrize("sent", ["fine-id_1.2:3", "x" * 128])
async def test_a_sane_request_id_is_taken_over(shared_service: Service, sent: str) -> None:
    response = await (await shared_service.anonymous()).get("/nothing", headers={"x-request-id": sent})

    assert check_problem(response, 404, "not_found")["request_id"] == sent


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "é", '"><script>'])
async def test_another_request_id_is_replaced(shared_service: Service, sent: str) -> None:
    response = await (await shared_service.anonymous()).get("/livez", headers=raw_header("x-request-id", sent))

    assert response.headers["x-request-id"] not in ("", sent)


async def test_an_internal_error_shows_no_details(small_service: Service, capfd: pytest.CaptureFixture[str]) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the password is hunter" + str(2))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.services.agents.list_agents", fail)
        response = await (await small_service.user("alice")).get("/agents", headers={"x-request-id": "r-1"})

    assert check_problem(response, 500, "internal")["request_id"] == "r-1"
    assert "hunter2" not in response.text
    logged = "".join(capfd.readouterr())
    assert logged.count("hunter2") == 1
    assert "r-1" in logged


async def test_limits_are_settings(sqlite_url: str, tmp_path: Path) -> None:
    settings = settings_for(sqlite_url, tmp_path, max_content_characters=5, max_metadata_bytes=20, max_json_depth=4)
    async with open_service(settings) as service:
        alice: httpx.AsyncClient = await service.user("alice")
        thread = await make_thread(alice)
        path = f"/threads/{thread['id']}/messages"
        refused = [
            await alice.post(path, json={"content": "123456"}),
            await alice.post(path, json={"content": "1", "metadata": {"a": "x" * 20}}),
            await alice.post(path, json={"content": "1", "metadata": {"a": {"b": {"c": {}}}}}),
        ]
        for response in refused:
            check_problem(response, 422, "invalid_request")
