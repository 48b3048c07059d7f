"""Ctrl+C while something is under way: the first one asks it to stop, the second one leaves."""

import asyncio
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager


class Interrupts:
    """Hears SIGINT for the running task, in the main thread. Elsewhere nothing is typed, and nothing heard."""

    def __init__(self) -> None:
        self._is_main = threading.current_thread() is threading.main_thread()
        self._hear: Callable[[], None] | None = None

    def leave_alone(self) -> None:
        """Let SIGINT raise `KeyboardInterrupt` at once: asyncio would cancel the task, which waits for a person."""
        if self._is_main:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    @contextmanager
    def heard(self, stop: Callable[[], bool]) -> Generator[None]:
        """Call `stop` at the first one. Cancel the task at the second one, or if there is nothing to stop (False)."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # only tasks come here
        has_asked = False

        def hear() -> None:
            nonlocal has_asked
            if has_asked or not stop():
                task.cancel()
            has_asked = True

        self._listen(hear)
        try:
            yield
        finally:
            self._listen(None)

    @contextmanager
    def paused(self) -> Generator[None]:
        """While a person is asked something: Ctrl+C is an answer."""
        kept = self._hear
        self._listen(None)
        try:
            yield
        finally:
            self._listen(kept)

    def _listen(self, hear: Callable[[], None] | None) -> None:
        self._hear = hear
        if not self._is_main:
            return
        loop = asyncio.get_running_loop()
        if hear is None:
            loop.remove_signal_handler(signal.SIGINT)
            self.leave_alone()
        else:
            loop.add_signal_handler(signal.SIGINT, hear)
