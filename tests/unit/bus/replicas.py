"""Two buses on one Redis, as two replicas of a service have them, and what tests do with them."""

from types import TracebackType
from typing import Self

from ai_agents.bus.base import Channel, TextInProgress, TextKind
from ai_agents.bus.redis import RedisBus
from tests.support.waiting import eventually
from tests.unit.bus.threads import message_begun, text_of


class Replica:
    """The bus of one process of the service."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bus = RedisBus(url)

    @property
    def is_connected(self) -> bool:
        """Whether it hears other replicas."""
        channel = self.bus.hold("any thread")
        self.bus.release(channel)
        return channel.live

    async def __aenter__(self) -> Self:
        await self.bus.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.bus.close()

    def write(self, thread_id: str = "thread", *, base_seq: int = 1, fence: int = 1) -> "Writer":
        """Begin a message in a run that this replica executes."""
        return Writer(self.bus, thread_id, message_begun(base_seq, fence=fence))

    def read(self, thread_id: str = "thread") -> "Follower":
        """Read along in a thread."""
        return Follower(self.bus, thread_id)


class Writer:
    """A run that writes text."""

    def __init__(self, bus: RedisBus, thread_id: str, progress: TextInProgress) -> None:
        self.progress = progress
        self.channel = bus.hold(thread_id)
        self._bus = bus
        self.channel.own()
        self.channel.begin(progress)

    def say(self, text: str, kind: TextKind = "text") -> None:
        self.progress.append(kind, text)
        self.channel.touch()

    def leave(self) -> None:
        self.channel.disown()
        self._bus.release(self.channel)


class Follower:
    """A reader of a thread's channel."""

    def __init__(self, bus: RedisBus, thread_id: str) -> None:
        self.channel: Channel = bus.hold(thread_id)
        self._bus = bus
        self.wakes = 0
        self.channel.attach(self._wake)

    def _wake(self) -> None:
        self.wakes += 1

    @property
    def text(self) -> str:
        return text_of(self.channel.progress)

    async def has(self, writer: Writer) -> None:
        """Wait until this reader has all text that was written."""
        await eventually(
            lambda: self.text == text_of(writer.progress),
            what=f"{text_of(writer.progress)[-60:]!r}",
        )

    async def is_live(self) -> None:
        await eventually(lambda: self.channel.live, what="the channel to be live")

    async def is_cut_off(self) -> None:
        await eventually(lambda: not self.channel.live, what="the channel to be cut off")

    async def is_heard(self) -> None:
        """Wait until the thread's channel is subscribed."""
        await eventually(lambda: self.channel.missed > 0, what="the subscription")

    def leave(self) -> None:
        self.channel.detach(self._wake)
        self._bus.release(self.channel)
