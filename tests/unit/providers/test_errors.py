"""Failures of providers become the framework's errors, and some are tried again."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from ai_agents.core.exceptions import (
    ContextExceeded,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
)
from ai_agents.providers.errors import error_from_response, error_from_status, error_from_wire, mask, retry_after_s
from ai_agents.providers.retry import MAX_RETRY_AFTER_S, retry_delay_s, with_retries


@pytest.mark.parametrize(
    "status, kind, retryable",
    [
        (400, ProviderRejected, False),
        (401, ProviderRejected, False),
        (402, ProviderRejected, False),
        (403, ProviderRejected, False),
        (404, ProviderRejected, False),
        (408, ProviderTimeout, True),
        (409, ProviderError, True),
        (413, ProviderRejected, False),
        (301, ProviderRejected, False),
        (307, ProviderRejected, False),
        (422, ProviderRejected, False),
        (429, ProviderRateLimited, True),
        (500, ProviderError, True),
        (503, ProviderError, True),
        (504, ProviderTimeout, True),
        (529, ProviderError, True),
    ],
)
def test_a_status_decides_the_error(status: int, kind: type[ProviderError], retryable: bool) -> None:
    error = error_from_status("openai", status)

    assert type(error) is kind
    assert error.retryable is retryable
    assert error.provider == "openai"


@pytest.mark.parametrize(
    "reported, kind, retryable",
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, ProviderError, True),
        ({"type": "rate_limit_error", "message": "slow"}, ProviderRateLimited, True),
        ({"type": "invalid_request_error", "message": "bad"}, ProviderRejected, False),
        ({"type": "insufficient_quota", "code": "insufficient_quota"}, ProviderRateLimited, False),
        ({"code": 429, "message": "slow"}, ProviderRateLimited, True),
        ({"type": "made_up", "message": "?"}, ProviderError, True),
        ("out of memory", ProviderError, True),
        (None, ProviderError, True),
    ],
)
def test_an_error_in_a_stream_has_its_status(reported: object, kind: type[ProviderError], retryable: bool) -> None:
    error = error_from_wire("openai", reported)

    assert type(error) is kind
    assert error.retryable is retryable


@pytest.mark.parametrize(
    "status, word, text",
    [
        (400, "context_length_exceeded", None),
        (400, "exceed_context_size_error", "request (9412 tokens) exceeds the available context size (8192 tokens)"),
        (400, "invalid_request_error", "prompt is too long: 203284 tokens > 200000 maximum"),
        (400, None, "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000"),
        (400, None, '{"error":"prompt too long; exceeded max context length by 17 tokens"}'),
        (400, None, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"),
        (413, None, "the request exceeds the model's context window"),
    ],
)
def test_a_request_that_is_too_long_is_recognized(status: int, word: str | None, text: str) -> None:
    error = error_from_status("openai", status, word=word, text=text)

    assert type(error) is ContextExceeded
    assert error.code == "context_overflow"
    assert not error.retryable
    assert "tokens" not in str(error)


@pytest.mark.parametrize(
    "status, text",
    [
        (400, "the conversation's context is not valid JSON"),
        (400, "max_tokens is too large: 100000. This model supports at most 16384 completion tokens"),
        (500, "maximum context length"),
        (429, "prompt is too long for your rate limit"),
        (413, "request too large: exceeds 32 MB"),
    ],
)
def test_other_refusals_are_not_taken_for_a_request_that_is_too_long(status: int, text: str) -> None:
    assert type(error_from_status("openai", status, text=text)) is not ContextExceeded


def test_a_message_has_the_providers_error_word_and_no_other_text() -> None:
    assert "context_length_exceeded" in str(error_from_status("openai", 400, word="context_length_exceeded"))
    assert "secret" not in str(error_from_status("openai", 400, word="your key sk-secret is wrong"))
    assert "memory" not in str(error_from_wire("ollama", "out of memory at 0x1234"))


def test_retry_after_is_read_in_all_its_forms() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)

    assert retry_after_s({"retry-after": "7"}) == 7
    assert retry_after_s({"retry-after": "7", "retry-after-ms": "250"}) == 0.25
    assert 25 < (retry_after_s({"retry-after": later}) or 0) <= 30
    assert retry_after_s({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}) == 0
    assert retry_after_s({"retry-after": "soon"}) is None
    assert retry_after_s({"retry-after": "inf"}) is None
    assert retry_after_s({}) is None


def test_a_wait_is_as_long_as_the_provider_asks_up_to_a_limit() -> None:
    assert retry_delay_s(error_from_status("openai", 429, retry_after_s=3), tried=0) == 3
    assert retry_delay_s(error_from_status("openai", 429, retry_after_s=MAX_RETRY_AFTER_S + 1), tried=0) is None
    assert retry_delay_s(error_from_status("openai", 400), tried=0) is None


def test_waits_double_with_some_jitter() -> None:
    delays = [retry_delay_s(error_from_status("openai", 500), tried=tried) or 0 for tried in range(8)]

    assert 0.375 <= delays[0] <= 0.5
    assert 0.75 <= delays[1] <= 1.0
    assert 6.0 <= delays[7] <= 8.0


class Attempts:
    """Fails this often, then succeeds."""

    def __init__(self, failures: int, *, retry_after_s: float = 0.0) -> None:
        self.made = 0
        self._failures = failures
        self._retry_after_s = retry_after_s

    async def __call__(self, left_s: float) -> str:
        assert left_s >= 0
        self.made += 1
        if self.made <= self._failures:
            raise error_from_status("openai", 503, retry_after_s=self._retry_after_s)
        return "done"


async def test_a_passing_failure_does_not_reach_the_caller() -> None:
    attempts = Attempts(2)

    assert await with_retries(attempts, retries=2, within_s=60.0) == "done"
    assert attempts.made == 3


async def test_the_last_failure_is_raised() -> None:
    attempts = Attempts(3)

    with pytest.raises(ProviderError, match="503"):
        await with_retries(attempts, retries=2, within_s=60.0)
    assert attempts.made == 3


async def test_nothing_is_tried_again_after_the_time_limit() -> None:
    attempts = Attempts(1, retry_after_s=6.0)

    with pytest.raises(ProviderError):
        await with_retries(attempts, retries=2, within_s=5.0)
    assert attempts.made == 1


BODIES: dict[str, tuple[bytes, str, str | None]] = {
    "OpenAI's": (
        b'{"error":{"message":"Bad value","type":"invalid_request_error","param":"top_p","code":null}}',
        "Bad value",
        "top_p",
    ),
    "a text": (b'{"error":"model not found"}', "model not found", None),
    "Anthropic's": (
        b'{"type":"error","error":{"type":"not_found_error","message":"No such model"}}',
        "No such model",
        None,
    ),
    "Gemini's list": (b'[{"error":{"code":400,"message":"Bad role","status":"INVALID_ARGUMENT"}}]', "Bad role", None),
    "FastAPI's": (
        b'{"detail":[{"loc":["body","messages",0,"content"],"msg":"Input should be a valid string"}]}',
        "messages.0.content: Input should be a valid string",
        "messages.0.content",
    ),
    "FastAPI's text": (b'{"detail":"Not Found"}', "Not Found", None),
    "Mistral's": (
        b'{"object":"error","message":{"detail":[{"loc":["body","x"],"msg":"Extra"}]},"type":"invalid_request_error"}',
        "x: Extra",
        "x",
    ),
    "Cloudflare's": (b'{"success":false,"errors":[{"code":7003,"message":"No route"}]}', "No route", None),
    "OpenRouter's": (
        b'{"error":{"code":400,"message":"Provider returned error","metadata":{"raw":"{\\"x\\":1}"}}}',
        'Provider returned error: {"x":1}',
        None,
    ),
    "a page": (
        b"<html><style>p {}</style>502 Bad Gateway\n<script>'<b>'</script><p>The  proxy&nbsp;failed &amp; died",
        "502 Bad Gateway The proxy failed & died",
        None,
    ),
    "words": (b"upstream connect error\r\n or disconnect", "upstream connect error or disconnect", None),
    "nothing": (b"", "", None),
    "bytes": (b"\xff\xfe", "\ufffd\ufffd", None),
    "odd JSON": (
        b'{"error":[1,null],"detail":{"a":7},"message":7}',
        '{"error":[1,null],"detail":{"a":7},"message":7}',
        None,
    ),
}


@pytest.mark.parametrize("body, said, parameter", BODIES.values(), ids=BODIES.keys())
def test_the_servers_own_words_are_kept(body: bytes, said: str, parameter: str | None) -> None:
    error = error_from_response("openai", 400, {}, body)

    assert error.upstream == {"status": 400, "message": said}
    assert error.parameter == parameter


def test_a_redirect_says_that_the_address_is_wrong_and_where_it_leads() -> None:
    error = error_from_response("openai", 308, {"location": "https://example.com/v1/?key=abcdef123"}, b"")

    assert "base URL" in str(error)
    assert error.upstream == {"status": 308, "message": "Location: https://example.com/v1/?key=***"}


def test_words_are_cut() -> None:
    error = error_from_response("openai", 500, {}, b"x" * 100_000)

    assert error.upstream is not None
    assert len(error.upstream["message"]) == 2000


def test_deep_errors_are_read_without_an_end() -> None:
    body = b'{"error":' * 500 + b"1" + b"}" * 500

    assert error_from_response("openai", 400, {}, body).upstream is not None


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-0123456789abcdefgh",
        "gsk_0123456789abcdefghij",
        "AIzaSy0123456789abcdefghij",
        "hf_0123456789abcdefghij",
        "xai-0123456789abcdefghij",
        "Bearer 0123456789abcdef",
        "https://example.com/v1?key=0123456789",
        "api-key: 0123456789",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0",
    ],
)
def test_what_looks_like_a_key_is_masked(secret: str) -> None:
    masked = mask(f"The key {secret} is wrong.")

    assert "***" in masked
    assert "0123456789" not in masked
    assert "eyJ" not in masked


@pytest.mark.parametrize(
    "said", ["skip_special_tokens_in_output is unknown", "keyword_arguments_of_tools", "key: the name", "pk of the row"]
)
def test_other_words_are_not_masked(said: str) -> None:
    assert mask(said) == said
