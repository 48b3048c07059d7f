"""The metrics of all processes on a port, told by any of them: a scrape of the port reaches one, now this, now that.

Each process tells its own over a socket on loopback to who knows the parent's secret. The samples of each get the label
`process`, so that a scrape of one port is as many scrapes of as many processes.
"""

import asyncio
import hmac
import socket
from collections.abc import Awaitable, Callable, Iterable

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from app.metrics import PREFIX
from app.processes.told import Told

# A process that answers later is left out of this scrape.
_ANSWER_S = 2.0


class Siblings:
    """`tell` gives the metrics of this process."""

    def __init__(self, told: Told, tell: Callable[[], Awaitable[bytes]]) -> None:
        self._told = told
        self._tell = tell
        self._listening = socket.socket(fileno=told.metrics)
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to tell the others."""
        self._server = await asyncio.start_server(self._answer, sock=self._listening)

    async def gather(self, own: bytes) -> bytes:
        """The metrics of all, where this process's own are these."""
        others = [place for place in range(len(self._told.ports)) if place != self._told.own]
        answers = await asyncio.gather(*(self._ask(self._told.ports[place]) for place in others))
        told = {self._told.own: own, **dict(zip(others, answers, strict=True))}
        return await asyncio.to_thread(merge, dict(sorted(told.items())))

    async def _ask(self, port: int) -> bytes | None:
        try:
            async with asyncio.timeout(_ANSWER_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    writer.write(self._told.secret.encode() + b"\n")
                    return await reader.read() or None
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_ANSWER_S):
                given = await reader.readline()
                if hmac.compare_digest(given.strip(), self._told.secret.encode()):
                    writer.write(await self._tell())
                    await writer.drain()
        except (OSError, ValueError, TimeoutError):
            pass  # the one that asked has left, or is none of us
        finally:
            writer.close()


class _Merged:
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def merge(told: dict[int, bytes | None]) -> bytes:
    """One text of what each process told, by its number; None for one that did not answer."""
    up = GaugeMetricFamily(PREFIX + "process_up", "Whether the process answered this scrape.", labels=["process"])
    merged: dict[str, Metric] = {}
    for place, text in told.items():
        up.add_metric([str(place)], float(text is not None))
        for family in text_string_to_metric_families((text or b"").decode()):
            into = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                into.add_sample(sample.name, {"process": str(place), **sample.labels}, sample.value)
    return generate_latest(_Merged([up, *merged.values()]))
