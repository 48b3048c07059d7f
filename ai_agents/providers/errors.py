"""Translates failures of providers into the framework's errors.

An error's message holds the status and the provider's own error word, never its text or body: those may quote secrets.
What the server said is in `upstream`, for those who may know it, with secrets masked.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from time import time
from typing import Any

import orjson

from ai_agents.core.exceptions import (
    ContextExceeded,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderTruncated,
)
from ai_agents.core.json import clean_text
from ai_agents.providers.reading import as_count

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
# The error words that providers send inside a stream that began with status 200, by the status each one stands for.
# Sources: https://platform.claude.com/docs/en/api/errors, https://developers.openai.com/api/docs/guides/error-codes
_WORDS = {
    400: ("invalid_request_error", "context_length_exceeded"),
    401: ("authentication_error", "invalid_api_key"),
    402: ("billing_error",),
    403: ("permission_error",),
    404: ("not_found_error", "model_not_found"),
    413: ("request_too_large",),
    429: ("rate_limit_error", "rate_limit_exceeded", "requests", "tokens", "insufficient_quota"),
    500: ("api_error", "server_error"),
    504: ("timeout_error",),
    529: ("overloaded_error",),
}
_STATUS_OF_WORD = {word: status for status, words in _WORDS.items() for word in words}
# Codes with which OpenAI's Responses API refuses a request after its stream began: `ResponseError` in its reference.
_REFUSALS = re.compile(
    "invalid_(prompt|image|image_format|image_url|image_mode|base64_image)|unsupported_image_media_type|empty_image_file"
    "|image_(too_large|too_small|parse_error|content_policy_violation|file_too_large)"
    "|data_residency_mismatch|bio_policy|misalignment_policy_violation"
)
# Another try fails in the same way, although the status suggests one.
_NEVER_RETRYABLE = frozenset({"insufficient_quota", "billing_error"})
# How providers refuse a request that is longer than the model's context window. OpenAI sends a word, the others send a
# sentence, and each OpenAI-compatible server has a sentence of its own.
# Sources, read 2026-11-23: https://developers.openai.com/api/docs/guides/error-codes,
# https://github.com/anthropics/claude-code/issues/59696, https://github.com/ollama/ollama/issues/17889,
# https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
_TOO_LONG_WORDS = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_TOO_LONG = re.compile(
    r"prompt (is )?too long|exceed(s|ed)? (the )?(available |max |maximum |model'?s )*context"
    r"|maximum context length|context window exceeds|longer than the (model'?s )?context|input is too long",
    re.IGNORECASE,
)
_MAX_TEXT = 2_000
_MAX_PARAMETER = 100
# Keys in the forms that providers give them, should a server quote one that is not ours.
_SECRETS = re.compile(r"\b(?:sk|pk|rk|gsk|xai|key|hf|AIza)[-_A-Za-z0-9]{16,}|(?<=[Bb]earer )\S{8,}")
_MASK = "***"


def error_from_status(
    provider: str, status: int, *, word: Any = None, retry_after_s: float | None = None, text: Any = None
) -> ProviderError:
    """The error that an HTTP status stands for.

    `word` is the provider's own error code; the message shows it if it is a plain word. `text` is the rest of what the
    provider said: it is searched, and kept in `upstream`.
    """
    known = word if isinstance(word, str) and _WORD.fullmatch(word) else None
    error = _error_of(provider, status, known, retry_after_s, text)
    said = text if isinstance(text, str) and text.strip() else known or ""
    error.upstream = {"status": status, "message": mask(said)}
    return error


def _error_of(provider: str, status: int, known: str | None, retry_after_s: float | None, text: Any) -> ProviderError:
    facts = f"{status}, {known}" if known else f"{status}"
    if status == 429:
        sentence, retryable = f"{provider} asks to slow down ({facts}).", known not in _NEVER_RETRYABLE
        return ProviderRateLimited(sentence, provider=provider, retryable=retryable, retry_after_s=retry_after_s)
    if status in {408, 504}:
        return ProviderTimeout(f"{provider} took too long ({facts}).", provider=provider)
    if status >= 500 or status == 409:
        sentence = f"{provider} failed ({facts})."
        return ProviderError(sentence, provider=provider, retryable=True, retry_after_s=retry_after_s)
    says_too_long = known in _TOO_LONG_WORDS or (isinstance(text, str) and _TOO_LONG.search(text[:_MAX_TEXT]))
    if status in {400, 413, 422} and says_too_long:
        return ContextExceeded(f"The conversation is too long for {provider}'s model ({facts}).", provider=provider)
    return ProviderRejected(f"{provider} refused the request ({facts}).", provider=provider)


def error_from_response(
    provider: str, status: int, headers: Mapping[str, str], body: bytes, *, secrets: Iterable[str] = ()
) -> ProviderError:
    """The error for a response with a failure status. `body` is JSON with an `error`, or any other text.

    `secrets` are masked in what the server said.
    """
    text = body.decode(errors="replace")
    word = reported = None
    with suppress(ValueError):
        reported = orjson.loads(body)
    if isinstance(reported, list) and reported:
        reported = reported[0]  # Gemini wraps its errors in a list
    facts = reported.get("error", reported) if isinstance(reported, dict) else None
    if isinstance(facts, dict):
        word = next((facts[each] for each in ("code", "type", "status") if isinstance(facts.get(each), str)), None)
        text = facts["message"] if isinstance(facts.get("message"), str) else text
    elif isinstance(facts, str):
        text = facts
    error = error_from_status(provider, status, word=word, retry_after_s=retry_after_s(headers), text=text)
    error.upstream = {"status": status, "message": mask(text, secrets)}
    error.parameter = _parameter(facts)
    return error


def error_from_wire(provider: str, error: Any) -> ProviderError:
    """The error that a provider reported inside a stream: an object with `type`, `code` or `status`, or a text."""
    facts = error if isinstance(error, Mapping) else {}
    text = facts.get("message") if facts else error
    for name in ("status", "code"):
        status = as_count(facts.get(name))
        if status is not None and 400 <= status <= 599:
            return error_from_status(provider, status, word=facts.get("type"), text=text)
    for name in ("code", "type"):
        word = facts.get(name)
        if isinstance(word, str) and (word in _STATUS_OF_WORD or _REFUSALS.fullmatch(word)):
            return error_from_status(provider, _STATUS_OF_WORD.get(word, 400), word=word, text=text)
    return error_from_status(provider, 500, word=facts.get("type"), text=text)


def mask(said: str, secrets: Iterable[str] = ()) -> str:
    """A server's words without these secrets and without anything that looks like a key; at most 2,000 characters."""
    said = clean_text(said[: 2 * _MAX_TEXT])
    for secret in secrets:
        if len(secret) >= 4:
            said = said.replace(secret, _MASK)
    return _SECRETS.sub(_MASK, said)[:_MAX_TEXT]


def _parameter(facts: Any) -> str | None:
    named = facts.get("param") if isinstance(facts, Mapping) else None
    return named[:_MAX_PARAMETER] if isinstance(named, str) and named else None


def error_from_transport(provider: str, error: BaseException, *, timeout_s: float, begun: bool) -> ProviderError:
    """The error for a connection that failed; `begun` says whether part of the answer had arrived.

    It is a timeout where a `TimeoutError` is among the causes. The outermost error does not tell: one SDK calls every
    refused connection a timeout.
    """
    found = _transport_error(provider, error, timeout_s=timeout_s, begun=begun)
    found.upstream = {"status": None, "message": mask(f"{type(error).__name__}: {error}")}
    return found


def _transport_error(provider: str, error: BaseException, *, timeout_s: float, begun: bool) -> ProviderError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TimeoutError):
            return ProviderTimeout(f"{provider} was silent for {timeout_s:g} s.", provider=provider)
        cause = cause.__cause__ or cause.__context__
    if begun:
        return truncated(provider, "lost the connection during its answer")
    return ProviderError(f"{provider} cannot be reached.", provider=provider, retryable=True)


def truncated(provider: str, how: str = "ended its answer too early") -> ProviderTruncated:
    """The error for an answer that began and has no valid end."""
    return ProviderTruncated(f"{provider} {how}.", provider=provider)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (seconds or a date), at least 0; None without them."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / scale
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    from email.utils import parsedate_to_datetime  # rarely needed, and slow to import

    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time())
    except (KeyError, ValueError):
        return None
