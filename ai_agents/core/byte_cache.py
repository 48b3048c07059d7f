"""Caches whose entries' sizes users choose: they are bounded in bytes, and let go of what is not used.

A compiled schema, an agent or a set of patterns may take a hundred bytes or many millions. Counted in entries, such
caches would let one user fill the memory.
"""

import ctypes
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar
from weakref import WeakSet

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")
P = ParamSpec("P")
# An entry that was not used for so long goes, so that memory is back within a minute.
IDLE_S = 40.0
# So much of a cache stays however long it is not used: a quiet service keeps its few agents.
_KEPT_SHARE = 32
# After this much was freed, the allocator is asked to give memory back to the system.
_WORTH_TRIMMING = 4 * 1024 * 1024


class ByteCache(Generic[K, V]):
    """Keeps what was used last, within `max_bytes`. Threads may share it.

    An entry that is larger than all of it is not kept. Entries that were not used for `idle_s` seconds are let go,
    the oldest first, down to a small part of `max_bytes`.
    """

    def __init__(self, max_bytes: int, *, idle_s: float = IDLE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self.max_bytes = max_bytes
        self._kept_bytes = max_bytes // _KEPT_SHARE
        self._idle_s = idle_s
        self._clock = clock
        self._lock = threading.Lock()
        # The value, its size, and when it was used last; the one used last comes last.
        self._entries: OrderedDict[K, tuple[V, int, float]] = OrderedDict()
        self._size_bytes = 0
        _caches.add(self)

    @property
    def size_bytes(self) -> int:
        """The size of all entries, as they were put in."""
        return self._size_bytes

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self._entries)

    def find(self, key: K) -> V | None:
        """The value of this key, which counts as used now; None where there is none."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries[key] = (found[0], found[1], self._clock())
            self._entries.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V, size_bytes: int) -> None:
        """Keep a value. The entries that were used least recently make room."""
        with self._lock:
            self._discard(key)
            if size_bytes > self.max_bytes:
                return
            while self._size_bytes + size_bytes > self.max_bytes:
                self._discard(next(iter(self._entries)))
            self._entries[key] = (value, size_bytes, self._clock())
            self._size_bytes += size_bytes

    def discard(self, key: K) -> None:
        """Let go of an entry, if it is there."""
        with self._lock:
            self._discard(key)

    def discard_where(self, is_unwanted: Callable[[K], bool]) -> list[V]:
        """Let go of all entries with such keys. Returns their values."""
        with self._lock:
            found = [(key, value) for key, (value, _, _) in self._entries.items() if is_unwanted(key)]
            for key, _ in found:
                self._discard(key)
        return [value for _, value in found]

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._entries.clear()
            self._size_bytes = 0

    def expire(self) -> int:
        """Let go of what was not used for long. Returns its size."""
        with self._lock:
            before, oldest = self._size_bytes, self._clock() - self._idle_s
            while self._size_bytes > self._kept_bytes:
                key, (_, _, used_at) = next(iter(self._entries.items()))
                if used_at > oldest:
                    break
                self._discard(key)
            return before - self._size_bytes

    def _discard(self, key: K) -> None:
        found = self._entries.pop(key, None)
        if found is not None:
            self._size_bytes -= found[1]


def cached(max_bytes: int, size_of: Callable[[Any], int]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Keep the results of a pure function of positional arguments in a `ByteCache`; an error is not kept.

    `size_of` is the size of a result. The arguments count too.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        cache: ByteCache[Any, tuple[T]] = ByteCache(max_bytes)

        @wraps(function)
        def find(*args: P.args, **kwargs: P.kwargs) -> T:
            found = cache.find(args)
            if found is None:
                found = (function(*args, **kwargs),)
                cache.put(args, found, size_of(found[0]) + size_of_json(args))
            return found[0]

        return find

    return decorate


_caches: "WeakSet[ByteCache[Any, Any]]" = WeakSet()


def expire_caches() -> None:
    """Let go of what no cache of this process was asked for in a while, and give its memory back to the system."""
    if sum(cache.expire() for cache in list(_caches)) >= _WORTH_TRIMMING:
        give_memory_back()


def give_memory_back() -> None:
    """Ask the allocator to give free memory back to the system, where it can be asked (glibc).

    Compiling patterns takes up to fifty times what the result needs. Without this the process keeps all of it.
    """
    if _trim is not None:
        _trim(0)


def _find_trim() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        found = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library
        return None
    found.argtypes, found.restype = [ctypes.c_size_t], ctypes.c_int
    return found


_trim = _find_trim()


def size_of_json(value: Any) -> int:
    """About how many bytes a JSON value takes in memory."""
    size, stack = 0, [value]
    while stack:
        value = stack.pop()
        size += sys.getsizeof(value)
        if isinstance(value, dict):
            stack.extend(value.keys())
            stack.extend(value.values())
        elif isinstance(value, list | tuple):
            stack.extend(value)
    return size
