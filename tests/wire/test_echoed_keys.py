"""A server that repeats the keys it was sent, anywhere in a failure: no error, run or log line has any part of them."""

import json
import logging
from base64 import b64encode
from collections.abc import Iterator
from html import escape
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from ai_agents.core.exceptions import ProviderError
from tests.fakes.answers import Answer, Raw, Text
from tests.fakes.frames import frames
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.conftest import Connect
from tests.wire.requests import MODELS, WIRES, ask, events_until_error

# Of no provider's form. The first can be a server's word for an error, the second cannot.
KEY = "zQ7wV4kT9xR2mN8bL5jH3gF6dS1aP0yC"
OTHER = 'u+8/Y<e>R&t%W"q=K9\\z~X7v'
HEADERS = {"x-upstream-auth": f"Token {OTHER}"}
JSON_TYPE = {"content-type": "application/json"}
# So much of a key may be anywhere by chance.
CHANCE = 5
ENOUGH = 3000


def said(message: str, **more: Any) -> bytes:
    return orjson.dumps({"error": {"message": message, "type": "invalid_request_error"} | more, "type": "error"})


SENTENCES = {
    "as they are": f"Wrong: {KEY} and {OTHER}.",
    "with the scheme": f"You sent authorization: Bearer {KEY}, X-Upstream-Auth: Token {OTHER}",
    "as JSON": f"headers were {json.dumps({'x-upstream-auth': OTHER, 'x-api-key': KEY})}",
    "in an address": f"GET /v1?key={quote(KEY)}&other={quote(OTHER, safe='')} failed",
    "in base64": f"Basic {b64encode(f'user:{OTHER}'.encode()).decode()}",
    "in more base64": f"{b64encode(f'ab:{KEY}!'.encode()).decode()}",
    "as HTML": f"<p>{escape(OTHER)}</p> {KEY}",
    "many times": f"{KEY} {OTHER} " * ENOUGH,
    **{f"cut after {n}": "x" * (2000 - n) + KEY for n in (5, 6, 11, 31)},
    **{f"cut after {n} when read": f"{OTHER}" * 50 + "y" * (65536 - 50 * len(OTHER) - n) + KEY for n in (6, 31)},
}
REFUSALS = {
    **{name: (401, said(text)) for name, text in SENTENCES.items()},
    "by a server that failed": (500, said(SENTENCES["as they are"])),
    "as its word": (401, said("No.", code=KEY, type=KEY)),
    "as the parameter": (400, said("No.", param=KEY)),
    "as a list": (422, orjson.dumps({"detail": [{"loc": ["body", KEY], "msg": OTHER}]})),
    "as a call that it refused": (400, said(f"No {OTHER}", code="tool_use_failed", failed_generation=f"<{KEY}>")),
    "in a page": (502, f"<html><b>{KEY}</b> {escape(OTHER)}".encode()),
    "at the end of a page": (502, b"z" * (65536 - 20) + KEY.encode()),
}


def parts_of(*secrets: str) -> Iterator[str]:
    for secret in secrets:
        for start in range(len(secret) - CHANCE):
            yield secret[start : start + CHANCE + 1]


def assert_hidden(error: BaseException | None, records: list[logging.LogRecord]) -> None:
    assert isinstance(error, ProviderError)
    seen = [str(error), repr(error), *(repr(value) for value in vars(error).values())]
    seen += [str({name: value for name, value in vars(each).items() if name != "exc_info"}) for each in records]
    text = "\n".join(seen)
    assert len(records) == 1
    found = [part for part in parts_of(KEY, OTHER, json.dumps(OTHER)[1:-1], escape(OTHER)) if part in text]
    assert found == [], text[:3000]


@pytest.mark.parametrize("name", WIRES)
async def test_a_failure_does_not_show_them(
    name: str, fake: FakeProviderServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    provider = connect(name, headers=HEADERS | ({"authorization": f"Bearer {KEY}"} if name == "ollama" else {}))
    if name != "ollama":
        provider = connect(name, api_key=KEY, headers=HEADERS)
    for status, body in REFUSALS.values():
        caplog.clear()
        fake.script(name, [Raw([body], status=status, headers=JSON_TYPE)])
        _, error = await events_until_error(provider, ask(name))
        assert_hidden(error, caplog.records)
    caplog.clear()
    fake.script(name, [Raw([b""], status=307, headers={"location": f"http://x.y/?key={KEY}&t={quote(OTHER)}"})])
    _, error = await events_until_error(provider, ask(name))
    assert_hidden(error, caplog.records)


def error_in_stream(name: str, message: str) -> bytes:
    match name:
        case "anthropic":
            return b"event: error\ndata: " + said(message, type="overloaded_error") + b"\n\n"
        case "responses":
            return b"data: " + orjson.dumps({"type": "error", "code": KEY, "message": message, "param": KEY}) + b"\n\n"
        case "ollama":
            return orjson.dumps({"error": message}) + b"\n"
        case "gemini":
            return b"data: " + orjson.dumps({"error": {"code": 500, "message": message, "status": KEY}}) + b"\n\n"
        case _:
            return b"data: " + said(message, code=KEY, param=OTHER) + b"\n\n"


@pytest.mark.parametrize("name", WIRES)
async def test_a_failure_inside_a_stream_does_not_show_them(
    name: str, fake: FakeProviderServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    more = {"authorization": f"Bearer {KEY}"} if name == "ollama" else {}
    given = {} if name == "ollama" else {"api_key": KEY}
    provider = connect(name, headers=HEADERS | more, **given)
    for message in SENTENCES.values():
        caplog.clear()
        fake.script(name, [Raw([error_in_stream(name, message)], headers={})])
        _, error = await events_until_error(provider, ask(name))
        assert_hidden(error, caplog.records)


@pytest.mark.parametrize("name", ["anthropic", "openai", "ollama", "gemini"])
async def test_an_end_for_an_unknown_reason_does_not_show_them(
    name: str, fake: FakeProviderServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    more = {"authorization": f"Bearer {KEY.lower()}"} if name == "ollama" else {}
    given = {} if name == "ollama" else {"api_key": KEY.lower()}
    provider = connect(name, headers=more, **given)
    usual = b"".join(piece for piece in frames(name, Answer([Text(["Hi."])]), MODELS[name]) if isinstance(piece, bytes))
    words = {"anthropic": b'"end_turn"', "openai": b'"stop"', "ollama": b'"stop"', "gemini": b'"STOP"'}
    assert words[name] in usual
    fake.script(name, [Raw([usual.replace(words[name], f'"{KEY.lower()}"'.encode())])])

    _, error = await events_until_error(provider, ask(name))

    assert isinstance(error, ProviderError)
    assert "***" in str(error)
    assert_hidden(error, caplog.records)
    assert KEY.lower()[:6] not in str(error) + str(vars(error)) + str([vars(each) for each in caplog.records])
