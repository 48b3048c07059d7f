"""Caches that are bounded in bytes."""

import gc
import weakref

import pytest

from ai_agents.core.byte_cache import ByteCache, cached, size_of_json
from tests.support.clock import Clock


def test_what_was_used_least_recently_makes_room_in_bytes() -> None:
    cache: ByteCache[str, str] = ByteCache(100)
    for name, size in (("a", 40), ("b", 40)):
        cache.put(name, name, size)
    assert cache.find("a") == "a"
    cache.put("c", "c", 50)
    assert [cache.find(name) for name in "abc"] == ["a", None, "c"]
    assert cache.size_bytes == 90
    cache.put("a", "anew", 10)
    assert (cache.find("a"), cache.size_bytes) == ("anew", 60)


def test_an_entry_that_is_larger_than_the_cache_displaces_nothing() -> None:
    cache: ByteCache[str, str] = ByteCache(100)
    cache.put("small", "small", 10)
    cache.put("large", "large", 101)
    assert (cache.find("large"), cache.find("small"), len(cache)) == (None, "small", 1)


def test_what_nobody_uses_is_let_go_of_down_to_a_small_part() -> None:
    clock = Clock()
    cache: ByteCache[int, bytes] = ByteCache(3200, idle_s=40, clock=clock)
    for number in range(32):
        cache.put(number, b"", 50)
    clock.now = 30
    assert cache.find(31) == b""
    assert cache.expire() == 0
    clock.now = 41
    assert cache.expire() == 1500
    assert (cache.find(31), cache.find(30), len(cache)) == (b"", b"", 2)


def test_entries_are_let_go_of_by_their_keys() -> None:
    cache: ByteCache[tuple[str, int], str] = ByteCache(100)
    for key in (("a", 1), ("a", 2), ("b", 1)):
        cache.put(key, f"{key}", 10)
    assert cache.discard_where(lambda key: key[0] == "a") == ["('a', 1)", "('a', 2)"]
    cache.discard(("b", 1))
    cache.discard(("b", 1))
    assert (len(cache), cache.size_bytes) == (0, 0)


def test_a_value_that_was_let_go_of_is_held_by_nothing() -> None:
    class Value:
        pass

    cache: ByteCache[str, Value] = ByteCache(100)
    value = Value()
    there = weakref.ref(value)
    cache.put("a", value, 60)
    del value
    cache.put("b", Value(), 60)
    gc.collect()
    assert there() is None


def test_the_size_of_a_value_counts_all_that_is_in_it() -> None:
    text = "x" * 10_000
    assert 30_000 < size_of_json({"a": [text, {"b": text + "y"}], text + "z": None}) < 32_000


def test_a_function_is_called_again_for_what_was_too_large_to_keep_and_for_an_error() -> None:
    calls: list[int] = []

    @cached(10_000, len)
    def text_of(length: int) -> str:
        calls.append(length)
        if length < 0:
            raise ValueError("no length")
        return "x" * length

    for length in (100, 100, 20_000, 20_000, 0, 0):
        assert len(text_of(length)) == length
    for _ in range(2):
        with pytest.raises(ValueError, match="no length"):
            text_of(-1)
    assert calls == [100, 20_000, 20_000, 0, -1, -1]
