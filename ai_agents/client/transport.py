"""Requests and streams that outlast broken connections, restarts of the service, and its limits.

What may be repeated is repeated until the client's patience is over: requests that a repetition does not change, those
with an `Idempotency-Key`, and all that were refused for a moment (429 and 503 with `Retry-After`) or never arrived.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import uuid4

import httpx2

from ai_agents.client.errors import ServiceProblem, ServiceUnreachable, problem_in
from ai_agents.core.certificates import trusted_certificates
from ai_agents.core.events import Event, EventType, HintType
from ai_agents.core.json import loads

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
_CONNECT_S = 10.0
# For answers that are made at once.
_ANSWER_S = 60.0
# There is a sign of life every 4 seconds in a run's stream, every 15 in others.
SILENCE_OF_RUN_S = 15.0
SILENCE_S = 45.0
# A connection that stood as long was no failure.
_STABLE_S = 10.0
# Events carry whole messages, results of tools included.
_MAX_EVENT_BYTES = 16 * 1024 * 1024
# Nothing was sent where these are raised.
_NEVER_ARRIVED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class Patience:
    """How long to try again, counted from the first failure since the last success."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline: float | None = None
        self._wait_s = _FIRST_WAIT_S

    def reset(self) -> None:
        """Something came."""
        self._deadline, self._wait_s = None, _FIRST_WAIT_S

    async def wait(self, error: ServiceProblem | httpx2.TransportError, *, at_least_s: float = 0.0) -> None:
        """Wait before the next attempt. Raises the error where the patience is over before it."""
        now = time.monotonic()
        self._deadline = self._deadline or now + self._seconds
        wait_s = max(at_least_s, self._wait_s * random.uniform(0.5, 1))  # noqa: S311  # it only spreads clients
        if now + wait_s > self._deadline:
            if isinstance(error, ServiceProblem):
                raise error
            raise unreachable(error) from error
        self._wait_s = min(self._wait_s * 2, _LONGEST_WAIT_S)
        await asyncio.sleep(wait_s)


def unreachable(error: httpx2.TransportError) -> ServiceUnreachable:
    """The error for the caller."""
    return ServiceUnreachable(f"The service does not answer: {str(error) or type(error).__name__}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a stream's events come from. `last_id` is that of the last event; after one of `ends` there are no more."""

    method: str
    path: str
    body: Any = None
    params: Mapping[str, str] | None = None
    key: str | None = None
    last_id: str | None = None
    silence_s: float = SILENCE_S
    ends: frozenset[str] = frozenset()

    def after(self, event: Event) -> "Source":
        """Where the events after this one come from."""
        if self.method != "POST":
            return replace(self, last_id=event.id or self.last_id)
        path = f"/threads/{event.thread_id}/runs/{event.run_id}/events"
        return replace(self, method="GET", path=path, body=None, key=None, last_id=event.id)


class Transport:
    """Makes the requests of one client. `patience_s` is how long it tries again after a failure."""

    def __init__(self, url: str, key: str, *, patience_s: float) -> None:
        self._patience_s = patience_s
        self._http = httpx2.AsyncClient(
            base_url=url,
            verify=trusted_certificates(),
            headers={"authorization": f"Bearer {key}", "accept": "application/json"},
            timeout=httpx2.Timeout(_CONNECT_S, read=_ANSWER_S),
            # As many streams as the service lets the user have.
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool | None = None,
        headers: Mapping[str, str] | None = None,
        **content: Any,
    ) -> httpx2.Response:
        """The answer of a request, read; `content` is httpx's. Raises `ServiceProblem`, `ServiceUnreachable`.

        `repeatable` says whether it may be sent again where it is not known whether it arrived: all but POST, unless
        this says otherwise. A repeatable POST has an `Idempotency-Key`, the same each time.
        """
        repeatable = method != "POST" if repeatable is None else repeatable
        sent = dict(headers or ())
        if method == "POST" and repeatable:
            sent.setdefault("idempotency-key", str(uuid4()))
        patience = Patience(self._patience_s)
        was_lost = False
        while True:
            try:
                response = await self._http.request(method, path, headers=sent, **content)
            except httpx2.TransportError as error:
                arrived = not isinstance(error, _NEVER_ARRIVED)
                if arrived and not repeatable:
                    raise unreachable(error) from error
                was_lost = was_lost or arrived
                await patience.wait(error)
                continue
            problem = await problem_in(response)
            if problem is None or (was_lost and method == "DELETE" and problem.status == 404):
                return response  # what is gone has been deleted by the request whose answer was lost
            if problem.retry_after_s is None or not (repeatable or problem.status in {429, 503}):
                raise problem
            await patience.wait(problem, at_least_s=problem.retry_after_s)

    async def events(self, source: Source) -> AsyncGenerator[Event | None]:
        """Each event of a stream, once and in order, whatever becomes of its connections.

        None comes before the events of each connection. The stream ends with its last event, and where the service says
        that there are no more. Raises `ServiceProblem`, `ServiceUnreachable`.
        """
        patience = Patience(self._patience_s)
        while True:
            connected_at = time.monotonic()
            try:
                async with self._connection(source) as response:
                    problem = await problem_in(response)
                    if problem is not None:
                        raise problem
                    if response.status_code == 204:
                        return
                    yield None
                    async for sent in httpx2.EventSource(response, _MAX_EVENT_BYTES):
                        event = Event(cast("EventType | HintType", sent.event), sent.id, loads(sent.data))
                        source = source.after(event)
                        patience.reset()
                        yield event
                        if event.type in source.ends:
                            return
                failure: ServiceProblem | httpx2.TransportError = httpx2.ReadError("the stream ended before its end")
            except httpx2.TransportError as error:
                failure = error
            except ServiceProblem as error:
                if error.retry_after_s is None:
                    raise
                failure = error
            if time.monotonic() - connected_at > _STABLE_S:
                patience.reset()
            await patience.wait(failure, at_least_s=getattr(failure, "retry_after_s", None) or 0.0)

    def _connection(self, source: Source) -> Any:
        headers = {"accept": "text/event-stream"}
        if source.key:
            headers["idempotency-key"] = source.key
        if source.last_id:
            headers["last-event-id"] = source.last_id
        return self._http.stream(
            source.method,
            source.path,
            params=source.params,
            json=source.body,
            headers=headers,
            timeout=httpx2.Timeout(_CONNECT_S, read=source.silence_s),
        )
