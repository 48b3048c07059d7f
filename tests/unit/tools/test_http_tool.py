"""Tools that are HTTP calls: where their arguments go, and what a model is told of each answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.tools.base import ToolContext, ToolError
from ai_agents.tools.http import HttpTool, check_http_spec
from ai_agents.tools.outbound import Outbound
from tests.fakes.http_server import Asked, HttpServer, reply, reply_json

KEY = "a-key-that-must-not-be-seen"


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with HttpServer() as opened:
        yield opened


@pytest.fixture
async def outbound(server: HttpServer) -> AsyncIterator[Outbound]:
    opened = Outbound([server.host], max_bytes=500_000)
    yield opened
    await opened.aclose()


def spec(url: str, method: str = "GET", *required: str) -> dict[str, Any]:
    properties: dict[str, Any] = {name: {} for name in ("id", "q", "tags", "filter", "n", "context", "self")}
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {"name": "call", "description": "Calls.", "parameters": parameters, "method": method, "url": url}


async def test_arguments_go_into_the_path_and_the_query(server: HttpServer, outbound: Outbound) -> None:
    server.on("/v1/a%20b%2Fc%3F%C3%A9/x", reply_json({"ok": True}))
    tool = HttpTool(spec(server.url("/v1/{id}/x?fixed=1"), "GET", "id"), outbound, headers={"X-Key": KEY})
    answer = await tool.execute(id="a b/c?\u00e9", q="x&y=z", tags=["a", 2], filter={"b": None}, n=1.5, context=True)
    assert answer == {"ok": True}
    (asked,) = server.asked
    assert (
        asked.target.partition("?")[2]
        == "fixed=1&q=x%26y%3Dz&tags=a&tags=2&filter=%7B%22b%22%3Anull%7D&n=1.5&context=true"
    )
    assert asked.headers["x-key"] == KEY


async def test_arguments_of_other_methods_go_into_the_body(server: HttpServer, outbound: Outbound) -> None:
    server.on("/v1/7", reply(status="204 No Content"))
    tool = HttpTool(spec(server.url("/v1/{id}"), "POST", "id"), outbound)
    assert await tool.execute(id=7, q="x", self=None) == "(status 204, no content)"
    (asked,) = server.asked
    assert (asked.method, asked.body) == ("POST", b'{"q":"x","self":null}')
    assert asked.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "value",
    [
        "..",
        ".",
        "",
        "a/../b",
        "../admin",
        "%2e%2e",
        "%252e%252e/x",
        "..\\x",
        " .. ",
        "..;",
        "..;/admin",
        "a;..",
        "..?",
        "..#",
        "..%00",
        "..\0",
        None,
        [],
        {},
    ],
    ids=repr,
)
async def test_no_argument_leaves_the_fixed_path(server: HttpServer, outbound: Outbound, value: Any) -> None:
    tool = HttpTool(spec(server.url("/v1/{id}/x"), "GET", "id"), outbound)
    with pytest.raises(ToolError):
        await tool.execute(id=value)
    assert server.asked == []


@pytest.mark.parametrize("value", ["@evil.example", "//evil.example", ":80", "#x", "?x", "\\evil", "a\r\nHost: evil"])
async def test_no_argument_changes_the_called_server(server: HttpServer, outbound: Outbound, value: str) -> None:
    tool = HttpTool(spec(server.url("/{id}"), "GET", "id"), outbound)
    with pytest.raises(ToolError, match="404"):
        await tool.execute(id=value)
    (asked,) = server.asked
    assert asked.headers["host"] == server.host
    assert asked.target.startswith("/")
    assert asked.target[1:].isascii()
    assert not {"/", "?", "#", "@"} & set(asked.target[1:])


# Answers.


@pytest.mark.parametrize(
    "raw,value",
    [
        (reply_json([1, {"a": "\u00e9"}]), [1, {"a": "\u00e9"}]),
        (reply(b'{"n": NaN}', kind="application/json"), '{"n": NaN}'),
        (reply(b"{broken", kind="application/problem+json"), "{broken"),
        (reply(b"caf\xe9", kind="text/plain; charset=latin-1"), "caf\u00e9"),
        (reply(b"caf\xe9", kind="text/plain"), "caf\ufffd"),
        (reply(b"a\0b", kind="text/plain"), "a\ufffdb"),
        (reply(b"x", kind="text/plain; charset=nonsense"), "x"),
        (reply(b"plain", kind="application/octet-stream"), "plain"),
        (reply(b""), "(status 200, no content)"),
    ],
)  # fmt: skip
async def test_an_answer_is_json_or_text(server: HttpServer, outbound: Outbound, raw: bytes, value: Any) -> None:
    server.on("/", raw)
    assert await HttpTool(spec(server.url()), outbound).execute() == value


async def dying(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")


async def not_http(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH\r\n")


@pytest.mark.parametrize(
    "raw,sentence",
    [
        (reply(b"\x89PNG\r\n\x1a\n\0\0", kind="image/png"), r"not text \(image/png, 10 bytes\)"),
        (reply(b"\xff\xfe\x00", kind=""), r"not text \(unknown type, 3 bytes\)"),
        (reply(b"no such thing", status="404 Not Found"), "answered 404: no such thing"),
        (reply(b"e" * 9000, status="500 Oh"), "^The server answered 500: e{2000}$"),
        (reply(b"", status="503 Busy"), r"answered 503: \(nothing\)"),
        (dying, "broke off"), (not_http, "could not be reached"),
    ],
)  # fmt: skip
async def test_a_bad_answer_is_a_clear_error(server: HttpServer, outbound: Outbound, raw: Any, sentence: str) -> None:
    server.on("/", raw)
    with pytest.raises(ToolError, match=sentence):
        await HttpTool(spec(server.url()), outbound).execute()


async def test_an_answer_of_ten_megabytes_is_cut_with_a_note(server: HttpServer, outbound: Outbound) -> None:
    server.on("/", reply(b"x" * 10_000_000))
    answer = await HttpTool(spec(server.url()), outbound).execute()
    assert answer == "x" * 500_000 + "\n[The answer is longer; 500000 bytes of it were read.]"


async def test_secrets_that_a_server_repeats_are_hidden_from_the_model(server: HttpServer, outbound: Outbound) -> None:
    async def echo(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(str(asked.headers).encode(), status="400 Bad"))

    server.on("/", echo)
    tool = HttpTool(spec(server.url()), outbound, headers={"Authorization": f"Bearer {KEY}"})
    with pytest.raises(ToolError) as told:
        await tool.execute()
    assert KEY not in str(told.value)
    assert KEY not in repr(tool)
    assert "[redacted]" in str(told.value)


def test_only_get_may_be_run_again() -> None:
    outbound = Outbound()
    assert HttpTool(spec("https://example.com/"), outbound).retry_safe
    assert not HttpTool(spec("https://example.com/", "POST"), outbound).retry_safe


# What an admin may write.


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "ftp://example.com/", "http://", "http:///x", "http://{id}.example.com/",
        "http://example.com:{id}/",
        "http://example.com{id}", "{id}", "http://user:pw@example.com/", "http://example.com/#x", "http://example.com/#",
        "http://example.com/a b",
        "http://example.com/{", "http://example.com/{}", "http://example.com/{id}}", "http://example.com/{unknown}",
        "http://example.com/{q}", "http://example.com:99999/", "http://[::1/", "http://example.com/" + "x" * 2000,
        "http://e\n.com/",
    ],
)  # fmt: skip
def test_an_address_that_a_tool_cannot_have_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_http_spec(spec(url, "GET", "id"), {})
    assert refused.value.loc == ("url",)


@pytest.mark.parametrize(
    "headers",
    [{"Host": "x"}, {"content-length": "1"}, {"a b": "x"}, {"": "x"}, {"x": "line\nbreak"}, {"x": "\u00e9"},
     {"Transfer-Encoding": "chunked"}, {f"x{n}": "y" for n in range(33)}, {"x": "y" * 5000}, {"x": "y "}, {"x": " y"}],
    ids=lambda headers: str(headers)[:30],
)  # fmt: skip
def test_headers_that_cannot_be_sent_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_http_spec(spec("https://example.com/"), headers)
    assert refused.value.loc == ("headers",)


def test_a_valid_description_is_accepted() -> None:
    check_http_spec(spec("https://api.example.com:8443/v1/{id}?a={id}", "PATCH", "id"), {"Authorization": "Bearer x y"})
    with pytest.raises(InvalidRequest):
        check_http_spec(spec("https://example.com/", "TRACE"), {})


SECRET = 'us/er+p&ss"w\\rd <x>'


@pytest.mark.parametrize(
    "body,kind",
    [
        (rb'{"got": "us\/er+p&ss\"w\\rd <x>"}', "application/json"),
        (rb'{"got": "us/er\u002Bp\u0026ss\u0022w\\rd \u003Cx\u003E"}', "text/json"),
        (rb'{"got": "us/er+p\u0026ss\"w\\rd \u003cx\u003e"}', "text/json"),
        (b"us%2fer%2bp%26ss%22w%5crd+%3cx%3e", "application/x-www-form-urlencoded"),
        (rb"<b>us/er+p&amp;ss&quot;w\rd &lt;x&gt;</b>", "text/html"),
    ],
    ids=["json", "escapes", "fewer_escapes", "address", "html"],
)
@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized"])
async def test_secrets_are_hidden(server: HttpServer, outbound: Outbound, body: bytes, kind: str, status: str) -> None:
    server.on("/", reply(body, kind=kind, status=status))
    tool = HttpTool(spec(server.url()), outbound, headers={"X-Key": SECRET})
    try:
        seen = json.dumps(await tool.execute())
    except ToolError as error:
        seen = str(error)
    assert "[redacted]" in seen
    assert "er" not in seen.replace("server answered", "").replace("redacted", "")


@pytest.mark.parametrize("charset", ["punycode", "idna", "undefined", "unicode_escape", "utf-7", "base64", "nonsense"])
async def test_a_charset_that_is_not_for_texts_is_ignored(server: HttpServer, outbound: Outbound, charset: str) -> None:
    server.on("/", reply(b"a-b" * 100_000, kind=f"text/plain; charset={charset}"))
    assert await HttpTool(spec(server.url()), outbound).execute() == "a-b" * 100_000


async def test_texts_in_other_charsets_are_decoded(server: HttpServer, outbound: Outbound) -> None:
    tool = HttpTool(spec(server.url()), outbound)
    for charset in ("latin-1", "windows-1252", "utf-16-le", "shift_jis", "gb18030", "koi8-r", "iso-8859-15"):
        text = "\u0434\u0430" if charset in {"koi8-r", "gb18030", "shift_jis", "utf-16-le"} else "f\xfcr"
        server.on("/", reply(text.encode(charset), kind=f"text/plain; charset={charset}"))
        assert await tool.execute() == text


async def test_json_that_is_too_long_to_be_shown_is_not_parsed(server: HttpServer) -> None:
    opened = Outbound([server.host])
    server.on("/", reply(b"[" + b"[]," * 400_000 + b"[]]", kind="application/json"))
    answer = await HttpTool(spec(server.url()), opened).execute()
    assert isinstance(answer, str)
    assert len(answer) == 1_200_004
    await opened.aclose()


@pytest.mark.parametrize(
    "url,target", [("/?", "/?q=x"), ("/?a=1", "/?a=1&q=x"), ("/?a=1&", "/?a=1&q=x"), ("/", "/?q=x")]
)
async def test_a_query_is_added_to_the_address(server: HttpServer, outbound: Outbound, url: str, target: str) -> None:
    server.on("/", reply_json({}))
    await HttpTool(spec(server.url(url)), outbound).execute(q="x")
    assert server.asked[0].target == target


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "PUT", "PATCH"])
@pytest.mark.parametrize("fixed", ["q=42", "%71=42", "a=1;q=42", "Q=42", "q", "q=42&q=43"])
async def test_an_argument_with_a_name_of_the_address_is_not_sent(
    server: HttpServer, outbound: Outbound, method: str, fixed: str
) -> None:
    server.on("/v1", reply_json({}))
    await HttpTool(spec(server.url(f"/v1?{fixed}"), method), outbound).execute(q="43", n=1)
    (asked,) = server.asked
    sent = (asked.target, asked.body)
    assert sent in {(f"/v1?{fixed}&n=1", b""), (f"/v1?{fixed}", b'{"n":1}')}


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "PUT", "PATCH"])
async def test_only_declared_arguments_are_sent(server: HttpServer, outbound: Outbound, method: str) -> None:
    parameters = {
        "type": "object",
        "properties": {"n": {}},
        "allOf": [{"$ref": "#/$defs/more"}],
        "anyOf": [{"properties": {"either": {}}}],
        "additionalProperties": True,
        "$defs": {"more": {"properties": {"filter": {"properties": {"tenant": {}}}}}},
    }
    server.on("/v1", reply_json({}))
    tool = HttpTool(spec(server.url("/v1"), method) | {"parameters": parameters}, outbound)
    await tool.execute(n=1, filter="x", either=2, tenant=43)
    (asked,) = server.asked
    sent = (asked.target, asked.body)
    assert sent in {("/v1?n=1&filter=x&either=2", b""), ("/v1", b'{"n":1,"filter":"x","either":2}')}


async def test_no_argument_in_the_place_of_a_name_repeats_a_fixed_one(server: HttpServer, outbound: Outbound) -> None:
    server.on("/v1", reply_json({}))
    tool = HttpTool(spec(server.url("/v1?tenant=42&{q}=1"), "GET", "q"), outbound)
    await tool.execute(q="n", n=2)
    with pytest.raises(ToolError, match="do not fit the tool's address"):
        await tool.execute(q="tenant")
    assert [asked.target for asked in server.asked] == ["/v1?tenant=42&n=1"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_server_is_told_the_id_of_the_call(server: HttpServer, outbound: Outbound, method: str) -> None:
    server.on("/v1", reply_json({}))
    tool = HttpTool(spec(server.url("/v1"), method), outbound)
    context = ToolContext("run", "thread", "user", "call_7")
    await tool.request({}, context)
    await tool.request({}, context)
    assert [asked.headers["idempotency-key"] for asked in server.asked] == ["call_7", "call_7"]


async def test_a_key_that_an_admin_has_set_stays(server: HttpServer, outbound: Outbound) -> None:
    server.on("/v1", reply_json({}))
    tool = HttpTool(spec(server.url("/v1")), outbound, headers={"Idempotency-Key": "fixed"})
    await tool.request({}, ToolContext("run", "thread", "user", "call_7"))
    assert server.asked[0].headers["idempotency-key"] == "fixed"


@pytest.mark.parametrize(
    "method, said, is_safe",
    [("GET", None, True), ("GET", False, False), ("POST", None, False), ("POST", True, True), ("DELETE", None, False)],
)
async def test_a_call_may_be_made_twice_as_the_admin_says(
    outbound: Outbound, method: str, said: bool | None, is_safe: bool
) -> None:
    given = spec("http://x.example/", method)
    assert HttpTool(given | {"retry_safe": said}, outbound).retry_safe is is_safe
    if said is None:
        assert HttpTool(given, outbound).retry_safe is is_safe
