"""Translates failures of providers into the framework's errors.

An error's message holds the status and the provider's own error word, never its text or body: those may quote secrets.
What the server said is in `upstream`, for those who may know it, with secrets masked.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from html import unescape
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
    UnknownFinishReason,
)
from ai_agents.core.json import clean_text
from ai_agents.core.secrets import Secrets
from ai_agents.core.types import JsonObject
from ai_agents.providers.reading import as_count, as_object, as_objects

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
# The error words that providers send inside a stream that began with status 200, by the status each one stands for.
# Sources: https://platform.claude.com/docs/en/api/errors, https://developers.openai.com/api/docs/guides/error-codes,
# https://cloud.google.com/apis/design/errors (upper case), vLLM's `type` (`BadRequestError` …).
_WORDS = {
    400: "invalid_request_error context_length_exceeded BadRequestError INVALID_ARGUMENT FAILED_PRECONDITION",
    401: "authentication_error invalid_api_key UNAUTHENTICATED",
    402: "billing_error insufficient_balance",
    403: "permission_error PERMISSION_DENIED",
    404: "not_found_error model_not_found NotFoundError NOT_FOUND",
    413: "request_too_large",
    429: "rate_limit_error rate_limit_exceeded rate_limit_reached_error requests tokens RESOURCE_EXHAUSTED"
    " insufficient_quota exceeded_current_quota_error billing_hard_limit_reached",
    500: "api_error server_error internal_error INTERNAL",
    503: "service_unavailable UNAVAILABLE",
    504: "timeout_error DEADLINE_EXCEEDED",
    529: "overloaded_error",
}
_STATUS_OF_WORD = {word: status for status, words in _WORDS.items() for word in words.split()}
# Codes with which OpenAI's Responses API refuses a request after its stream began: `ResponseError` in its reference.
_REFUSALS = re.compile(
    "invalid_(prompt|image|image_format|image_url|image_mode|base64_image)|unsupported_image_media_type|empty_image_file"
    "|image_(too_large|too_small|parse_error|content_policy_violation|file_too_large)"
    "|data_residency_mismatch|bio_policy|misalignment_policy_violation|content_?filter|content_policy_violation"
)
# Another try fails in the same way, although the status suggests one.
_NEVER_RETRYABLE = frozenset(
    {"insufficient_quota", "billing_error", "exceeded_current_quota_error", "billing_hard_limit_reached"}
)
# How providers refuse a request that is longer than the model's context window. OpenAI sends a word, the others send a
# sentence, and each OpenAI-compatible server has a sentence of its own.
# Sources, read 2026-11-23: https://developers.openai.com/api/docs/guides/error-codes,
# https://github.com/anthropics/claude-code/issues/59696, https://github.com/ollama/ollama/issues/17889,
# https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
_TOO_LONG_WORDS = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_TOO_LONG = re.compile(
    r"prompt (is )?too long|exceed(s|ed)? (the )?(available |max |maximum |model'?s )*context"
    r"|maximum context length|context window exceeds|longer than the (model'?s )?context|input is too long"
    # Groq's limit of tokens for a minute, which no such request can keep.
    r"|request too large for model",
    re.IGNORECASE,
)
_MAX_TEXT = 2_000
_MAX_PARAMETER = 100
# Errors within errors, and sentences of a list of them, that are read.
_MAX_NESTED = 4
_MAX_SENTENCES = 10
# Keys in the forms that providers give them, should a server quote one that is not ours.
_SECRETS = re.compile(
    r"\b(?:(?:sk|pk|rk|csk|xai|key|pplx|nvapi|tgp_v1)-|(?:sk|rk|gsk|hf|fw|r8|gh[opsu]|github_pat|tgp_v1)_|AIza|AKIA|eyJ)"
    r"[-_.A-Za-z0-9]{12,}|(?<=[Bb]earer )\S{8,}|(?<=[?&]key=)[^&\s]+"
    # Keys, tokens and tickets of this service.
    r"|\b(?:ai[at]|tkt|admin)_[-_A-Za-z0-9]{43,}|(?<=api[-_ ]key[=:])\s*\S{8,}",
    re.ASCII,
)
_MASK = "***"
# Shorter values are in many sentences by chance.
_SHORTEST_SECRET = 4
# Of what a server said: more than can be shown, since keys may take up much of it.
_MAX_SEARCHED = 64 * 1024
_NO_SECRETS = Secrets((), shortest=1, shown_as=_MASK)
_TAG = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.IGNORECASE | re.DOTALL)
# The names under which servers send their own status and their own word.
_STATUS_FIELDS = ("status", "status_code", "code", "http_code")
_WORD_FIELDS = ("code", "type", "status", "error_type")
_SAID_FIELDS = ("message", "detail", "msg", "error_description", "title", "errors", "error")


class RefusedCall(ProviderRejected):
    """The server refused the call that its own model wrote: the model's mistake, which it can be told of.

    `written` is what the model wrote, `said` what the server said of it.
    """

    def __init__(self, message: str, *, provider: str, written: str, said: str) -> None:
        super().__init__(message, provider=provider)
        self.written = written
        self.said = said


def error_from_status(
    provider: str, status: int, *, word: Any = None, retry_after_s: float | None = None, text: Any = None
) -> ProviderError:
    """The error that an HTTP status stands for.

    `word` is the provider's own error code; the message shows it if it is a plain word. `text` is the rest of what the
    provider said: it is searched, and kept in `upstream`.
    """
    known = word if isinstance(word, str) and _WORD.fullmatch(word) and mask(word) == word else None
    error = _error_of(provider, status, known, retry_after_s, text)
    said = text if isinstance(text, str) and text.strip() else known or ""
    error.upstream = {"status": status, "message": mask(said)}
    error.word = known
    return error


def _error_of(provider: str, status: int, known: str | None, retry_after_s: float | None, text: Any) -> ProviderError:
    facts = f"{status}, {known}" if known else f"{status}"
    if 300 <= status < 400:
        sentence = f"{provider} sends requests elsewhere ({facts}): its base URL is not the one of its API."
        return ProviderRejected(sentence, provider=provider)
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
    provider: str, status: int, headers: Mapping[str, str], body: bytes, *, secrets: Secrets = _NO_SECRETS
) -> ProviderError:
    """The error for a response with a failure status. `body` is JSON in any server's form, or any other text.

    `secrets` are masked in what the server said.
    """
    reported: Any = None
    with suppress(ValueError):
        reported = orjson.loads(body)
    if isinstance(reported, list):  # as Gemini's server sends them
        reported = next((each for each in reported if isinstance(each, dict)), None)
    facts = _facts_of(reported) if isinstance(reported, dict) else {}
    text = _said(facts) or _plain(secrets.hide_in_cut(body.decode(errors="replace")))
    if not text and 300 <= status < 400:
        text = f"Location: {headers.get('location', '')}"
    error = _refused_call(provider, facts) or error_from_status(
        provider, status, word=_word_of(facts), retry_after_s=retry_after_s(headers), text=text
    )
    error.upstream = {"status": status, "message": text}
    error.parameter = _parameter(facts)
    hide_in_error(error, secrets)
    return error


def error_from_wire(provider: str, error: Any) -> ProviderError:
    """The error that a provider reported inside a stream: an object with `type`, `code` or `status`, or a text."""
    facts = _facts_of(error) if isinstance(error, dict) else {}
    text = _said(facts) or (error if isinstance(error, str) else "")
    if (refused := _refused_call(provider, facts)) is not None:
        return refused
    status = _status_of(facts)
    if status is None:
        status = 400 if _TOO_LONG.search(text[:_MAX_TEXT]) else 500
    found = error_from_status(provider, status, word=_word_of(facts), text=text)
    found.parameter = _parameter(facts)
    return found


def _facts_of(reported: JsonObject) -> JsonObject:
    """The object that tells of the error: `reported`, or one in its `error` or `message`."""
    for _ in range(_MAX_NESTED):
        error, message = reported.get("error"), reported.get("message")
        if isinstance(error, dict) and error:
            reported = error
        elif isinstance(message, dict) and message:
            reported = reported | message
        else:
            break
    return reported


def _status_of(facts: JsonObject) -> int | None:
    for name in _STATUS_FIELDS:
        status = as_count(facts.get(name))
        if status is not None and 400 <= status <= 599:
            return status
    for name in _WORD_FIELDS:
        word = facts.get(name)
        if isinstance(word, str) and (word in _STATUS_OF_WORD or _REFUSALS.fullmatch(word)):
            return _STATUS_OF_WORD.get(word, 400)
    return None


def _word_of(facts: JsonObject) -> str | None:
    """The server's word for the error: one that is known, otherwise its code or its type."""
    words = [facts[name] for name in _WORD_FIELDS if isinstance(facts.get(name), str) and facts[name]]
    words = [word for word in words if not word.isdigit()]
    known = (word for word in words if word in _STATUS_OF_WORD or word in _TOO_LONG_WORDS)
    return next(known, words[0] if words else None)


def _said(facts: JsonObject) -> str:
    """The server's own words, with those of the server behind it, which OpenRouter has in `metadata.raw`."""
    said = next((text for name in _SAID_FIELDS if (text := _text_of(facts.get(name)))), "")
    raw = _text_of(as_object(facts.get("metadata")).get("raw"))
    return f"{said}: {raw}" if raw and raw not in said else said


def _text_of(value: Any, *, depth: int = _MAX_NESTED) -> str:
    """A text, or the sentences in a list of errors, such as FastAPI's: where, and what."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict) and depth:
        return next((text for name in _SAID_FIELDS if (text := _text_of(value.get(name), depth=depth - 1))), "")
    if not isinstance(value, list) or not depth:
        return ""
    sentences: list[str] = []
    for each in value[:_MAX_SENTENCES]:
        said, where = _text_of(each, depth=depth - 1), _path(as_object(each).get("loc"))
        sentences.append(f"{where}: {said}" if where else said)
    return "; ".join(filter(None, sentences))


def _plain(text: str) -> str:
    """A body as a text: without the tags of HTML, in one line."""
    if "<" in text and ">" in text:
        text = unescape(_TAG.sub(" ", text))
    return " ".join(text.split())


def _refused_call(provider: str, facts: JsonObject) -> RefusedCall | None:
    """Groq refuses calls that do not fit the tool's schema, and tells what its model wrote."""
    written = facts.get("failed_generation")
    if facts.get("code") != "tool_use_failed" or not isinstance(written, str) or not written.strip():
        return None
    said = mask(_said(facts))
    error = RefusedCall(
        f"{provider} refused the call that its model wrote.", provider=provider, written=written, said=said
    )
    error.upstream = {"status": 400, "message": said}
    return error


def mask(said: str, secrets: Secrets = _NO_SECRETS) -> str:
    """A server's words without these secrets and without anything that looks like a key; at most 2,000 characters."""
    said = secrets.hide_in_cut(clean_text(said[:_MAX_SEARCHED]))
    return _SECRETS.sub(_MASK, said)[:_MAX_TEXT]


def mask_keys(said: str) -> str:
    """A text without anything that looks like a key of a provider or of this service."""
    return _SECRETS.sub(_MASK, said)


def secrets_of(headers: Iterable[str]) -> Secrets:
    """The secrets among what is sent to a server, which may quote it in its errors."""
    return Secrets(headers, shortest=_SHORTEST_SECRET, shown_as=_MASK)


def hide_in_error(error: ProviderError, secrets: Secrets) -> None:
    """Mask secrets in everything that an error says: a server may have sent them where a word is expected."""
    error.args = tuple(mask(each, secrets) if isinstance(each, str) else each for each in error.args)
    if error.upstream is not None:
        error.upstream = {**error.upstream, "message": mask(error.upstream["message"], secrets)}
    if error.word is not None and mask(error.word, secrets) != error.word:
        error.word = None
    if error.parameter is not None:
        error.parameter = mask(error.parameter, secrets)
    if isinstance(error, RefusedCall):
        error.said, error.written = mask(error.said, secrets), secrets.hide_in_cut(error.written)
    if isinstance(error, UnknownFinishReason):
        error.finish_reason = mask(error.finish_reason, secrets)
    if error.__cause__ is not None:
        error.cause = mask(repr(error.__cause__), secrets)


def _parameter(facts: JsonObject) -> str | None:
    """The part of the request that a refusal names: in `param`, or as the first place in a list of errors."""
    named = facts.get("param")
    if not isinstance(named, str) or not named:
        lists = [facts.get("detail"), facts.get("errors"), facts.get("message")]
        places = (each.get("loc") for found in lists for each in as_objects(found))
        named = next((path for loc in places if (path := _path(loc))), None)
    return named[:_MAX_PARAMETER] if named else None


def _path(loc: Any) -> str:
    """A place such as `["body", "messages", 0, "content"]` as `messages.0.content`."""
    return ".".join(str(each) for each in loc if each != "body") if isinstance(loc, list) else ""


def error_from_transport(provider: str, error: BaseException, *, timeout_s: float, begun: bool) -> ProviderError:
    """The error for a connection that failed; `begun` says whether part of the answer had arrived.

    It is a timeout where a `TimeoutError` is among the causes. The outermost error does not tell: one SDK calls every
    refused connection a timeout.
    """
    found = _transport_error(provider, error, timeout_s=timeout_s, begun=begun)
    found.__cause__ = error
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
