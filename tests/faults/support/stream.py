"""A stream's reader that resumes as a browser does, and holds what it is told to what a stream promises."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.support.processes import PATIENCE_S

TERMINAL = frozenset({"run.completed", "run.failed", "run.cancelled"})
PREVIEWS = frozenset({"message.started", "message.delta", "reasoning.delta"})
_RECONNECT_S = 0.02
_AWAY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class SentEvent:
    """One event of a stream."""

    id: str
    type: str
    data: dict[str, Any]

    @property
    def seq(self) -> int:
        """The number of its row, or of the last row before it."""
        return int(self.id.partition("-")[0])

    @property
    def position(self) -> int:
        """How much of the message in progress has been sent."""
        return int(self.id.partition("-")[2])


class Told:
    """What a reader was told so far. `take` fails where an event is missing, comes twice or does not fit the others.

    `run_id` makes it a run's stream, which has the rows of that run alone; a thread's rows have no gaps.
    `last_event_id` is what to resume after. `texts` are what the deltas add up to, by message and kind, `contents` what
    was recorded then.
    """

    def __init__(self, *, run_id: str | None = None) -> None:
        self.run_id = run_id
        self.last_event_id: str | None = None
        self.rows: list[SentEvent] = []
        self.texts: dict[tuple[str, str], str] = {}
        self.contents: dict[str, str] = {}
        self._open: set[str] = set()
        self._last = (-1, -1)
        self.changed = asyncio.Event()

    @property
    def terminal(self) -> SentEvent | None:
        """The event that ended the run, in a run's stream."""
        return next((event for event in self.rows if event.type in TERMINAL), None)

    def types(self) -> list[str]:
        """The rows' names."""
        return [event.type for event in self.rows]

    def take(self, event: SentEvent) -> None:
        """Take note of the next event."""
        assert (event.seq, event.position) > self._last, f"{event} after {self._last}"
        self._last = (event.seq, event.position)
        assert event.data["type"] == event.type, event
        if self.run_id is not None:
            assert self.terminal is None, f"{event} after the end"
            assert event.data.get("run_id") == self.run_id, event
        if event.type in PREVIEWS:
            self._take_preview(event)
        else:
            self._take_row(event)
        self.last_event_id = event.id
        self.changed.set()
        self.changed = asyncio.Event()

    def _take_preview(self, event: SentEvent) -> None:
        message_id = event.data["message_id"]
        if event.type == "message.started":
            assert (message_id, "text") not in self.texts, f"{event} began twice"
            assert event.position == 1, event
            self.texts[message_id, "text"] = self.texts[message_id, "reasoning"] = ""
            self._open.add(message_id)
            return
        assert message_id in self._open, f"{event}: of a message that is not open"
        kind = "text" if event.type == "message.delta" else "reasoning"
        said = self.texts[message_id, kind]
        assert event.data["offset"] == len(said), f"{event} after {len(said)} characters: {said[-60:]!r}"
        assert event.data["text"], event
        self.texts[message_id, kind] = said + event.data["text"]

    def _take_row(self, event: SentEvent) -> None:
        if self.rows:
            newest = self.rows[-1].seq
            assert event.seq > newest, f"{event} after row {newest}"
            assert self.run_id is not None or event.seq == newest + 1, f"{event} after row {newest}"
        self.rows.append(event)
        if event.type == "message.completed":
            message = event.data["message"]
            self.contents[message["id"]] = message["content"]
            if (message["id"], "text") in self.texts:
                assert message["content"] == self.texts[message["id"], "text"], message["id"]
                self._open.discard(message["id"])
        for voided in event.data.get("discard", ()):
            assert voided not in self.contents, f"{event} voids a message that was completed"
            self._open.discard(voided)
        if event.type in TERMINAL and self.run_id is not None:
            assert not self._open, f"{event} while {self._open} are neither completed nor void"

    async def until(self, condition: Callable[["Told"], bool], *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until what was told fulfils the condition."""
        async with asyncio.timeout(timeout_s):
            while not condition(self):
                await self.changed.wait()


class EventSource:
    """Reads a stream at one address after another, as a browser would at one: reconnects after every end with the id
    of the last whole event, until 204.

    One that is `patient` comes again after an answer that says that the service is away, which a browser does not.
    `ends` and `cuts` count how connections ended, in order or not; `refusals` those that did not come about.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        addresses: Sequence[str],
        path: str,
        told: Told,
        *,
        after: str | None = None,
        patient: bool = True,
    ) -> None:
        self.told = told
        self.connections = self.ends = self.cuts = self.refusals = 0
        self.cut_by: Exception | None = None
        self.opened = asyncio.Event()
        self.reading: asyncio.Task[None] | None = None
        self._session = session
        self.addresses = addresses
        self._path = path
        self._after = after
        self._patient = patient
        self._at = ""
        self._since = 0.0

    async def until_open(self, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the first connection is there."""
        assert self.reading is not None
        opening = asyncio.create_task(self.opened.wait())
        await asyncio.wait({opening, self.reading}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        opening.cancel()
        if self.reading.done():
            self.reading.result()
        assert self.opened.is_set(), (
            f"{self.connections} connections, {self.cuts} cut ({self.cut_by!r}), {self.refusals} refused"
        )

    async def until(self, condition: Callable[[Told], bool], *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until what was told fulfils the condition; a reader that failed says so at once."""
        assert self.reading is not None
        waiting = asyncio.create_task(self.told.until(condition, timeout_s=timeout_s))
        try:
            await asyncio.wait({waiting, self.reading}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                self.reading.result()
            await waiting
        except TimeoutError:
            pytest.fail(f"after {timeout_s:g} s: {self}")
        finally:
            waiting.cancel()

    async def until_text(self, length: int = 1, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until so many characters of one message were told."""
        await self.until(lambda told: any(len(text) >= length for text in told.texts.values()), timeout_s=timeout_s)

    async def finished(self, *, timeout_s: float = PATIENCE_S) -> Told:
        """What was told, once the stream has ended for good."""
        assert self.reading is not None
        await asyncio.wait({self.reading}, timeout=timeout_s)
        assert self.reading.done(), f"after {timeout_s:g} s: {self}"
        self.reading.result()
        return self.told

    def __str__(self) -> str:
        """Where it is."""
        return (
            f"{self._path} after {self.told.last_event_id}, {self.told.types()[-3:]}, "
            f"{list(self.told.texts.values())[-1:]}; {self.connections} connections, "
            f"the last to {self._at} {time.monotonic() - self._since:.1f} s ago, {self.ends} ended, "
            f"{self.refusals} refused, {self.cuts} cut: {self.cut_by!r}"
        )

    async def run(self) -> None:
        """Read to the end."""
        while await self.read_once():
            await asyncio.sleep(_RECONNECT_S)

    async def read_once(self) -> bool:
        """Connect once and read until the connection ends; whether to come again."""
        address = self._at = self.addresses[self.connections % len(self.addresses)]
        self._since = time.monotonic()
        self.connections += 1
        headers = {"accept": "text/event-stream"}
        after = self.told.last_event_id or self._after
        if after is not None:
            headers["last-event-id"] = after
        try:
            async with self._session.get(address + self._path, headers=headers) as response:
                if response.status == 204:
                    return False
                if self._patient and response.status in _AWAY:
                    self.refusals += 1
                    return True
                assert response.status == 200, (response.status, await response.text())
                self.opened.set()
                async for event in events_of(response):
                    self.told.take(event)
            self.ends += 1
        except aiohttp.ClientConnectorError:
            self.refusals += 1
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self.cuts += 1
            self.cut_by = error
        return True


async def events_of(response: aiohttp.ClientResponse) -> AsyncIterator[SentEvent]:
    """The whole events of a response as they come; one that is cut off is never seen, as the standard has it."""
    buffer = b""
    fields: dict[str, str] = {}
    async for chunk in response.content.iter_any():
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            if line:
                name, _, value = line.decode().partition(": ")
                fields[name] = value
                continue
            if "data" in fields:
                # Hints have no id.
                yield SentEvent(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
            fields = {}
