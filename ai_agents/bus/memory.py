"""The bus of one process."""

from collections.abc import Callable, Sequence

from ai_agents.bus.base import Channel
from ai_agents.core.types import LogRow


class MemoryBus:
    """Channels in a dictionary; whoever publishes is in the same process as whoever reads."""

    def __init__(self) -> None:
        self._channels: dict[str, Channel] = {}
        self._listeners: list[Callable[[Sequence[LogRow]], None]] = []
        self._cancel_listeners: list[Callable[[str], None]] = []

    def hold(self, thread_id: str) -> Channel:
        """The thread's channel, made if nobody has it."""
        channel = self._channels.get(thread_id)
        if channel is None:
            channel = self._channels[thread_id] = Channel(thread_id)
        channel.holders += 1
        return channel

    def release(self, channel: Channel) -> None:
        """The last to release it drops it."""
        channel.holders -= 1
        if channel.holders <= 0:
            self._channels.pop(channel.thread_id, None)

    def publish(self, rows: Sequence[LogRow]) -> None:
        """Hand the rows to the channels that somebody holds."""
        for thread_id in {row.thread_id for row in rows}:
            channel = self._channels.get(thread_id)
            if channel is not None:
                channel.add_rows([row for row in rows if row.thread_id == thread_id])
        for listener in self._listeners:
            listener(rows)

    def listen(self, listener: Callable[[Sequence[LogRow]], None]) -> None:
        """Call the listener with every published row."""
        self._listeners.append(listener)

    def request_cancel(self, run_id: str) -> None:
        """Everybody who may own the run is in this process."""
        for listener in self._cancel_listeners:
            listener(run_id)

    def listen_cancel(self, listener: Callable[[str], None]) -> None:
        """Call the listener with the id of each run to be cancelled."""
        self._cancel_listeners.append(listener)

    def request_sweep(self) -> None:
        """There is no other process to take anything over."""

    def listen_sweep(self, listener: Callable[[], None]) -> None:
        """Nobody ever asks."""

    async def open(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """Readers end with the process."""
        self._channels.clear()
