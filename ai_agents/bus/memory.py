"""The bus of a single process."""

from collections.abc import Callable, Sequence

from ai_agents.bus.base import Channel
from ai_agents.core.types import LogRow


class MemoryBus:
    """Keeps the channels in a dictionary: writers and readers are in the same process."""

    def __init__(self) -> None:
        self._channels: dict[str, Channel] = {}
        self._listeners: list[Callable[[Sequence[LogRow]], None]] = []
        self._cancel_listeners: list[Callable[[str], None]] = []

    def hold(self, thread_id: str) -> Channel:
        """The thread's channel, made if there is none."""
        channel = self._channels.get(thread_id)
        if channel is None:
            channel = self._channels[thread_id] = Channel(thread_id)
        channel.holders += 1
        return channel

    def release(self, channel: Channel) -> None:
        """Give a hold back; a channel without holders is dropped."""
        channel.holders -= 1
        if channel.holders <= 0:
            self._channels.pop(channel.thread_id, None)

    def publish(self, rows: Sequence[LogRow]) -> None:
        """Give the rows to the channels of their threads, and to the listeners."""
        for thread_id in {row.thread_id for row in rows}:
            channel = self._channels.get(thread_id)
            if channel is not None:
                channel.add_rows([row for row in rows if row.thread_id == thread_id])
        for listener in self._listeners:
            listener(rows)

    def listen(self, listener: Callable[[Sequence[LogRow]], None]) -> None:
        """Call the listener with all published rows."""
        self._listeners.append(listener)

    def request_cancel(self, run_id: str) -> None:
        """Call the cancel listeners; the run's owner is in this process."""
        for listener in self._cancel_listeners:
            listener(run_id)

    def listen_cancel(self, listener: Callable[[str], None]) -> None:
        """Call the listener with the id of each run to cancel."""
        self._cancel_listeners.append(listener)

    def request_sweep(self) -> None:
        """Do nothing: there is no other process."""

    def listen_sweep(self, listener: Callable[[], None]) -> None:
        """Do nothing: there is no other process."""

    async def open(self) -> None:
        """Do nothing: there is nothing to connect to."""

    async def close(self) -> None:
        """Drop all channels."""
        self._channels.clear()
