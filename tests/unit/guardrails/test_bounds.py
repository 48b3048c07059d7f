"""What patterns may take of time and memory."""

import gc
import random
import string
from pathlib import Path

import pytest
import re2

from ai_agents.core.byte_cache import ByteCache, give_memory_back
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.guardrails import compiled as patterns_in_use
from ai_agents.guardrails import registry
from ai_agents.guardrails.programs import FORMER_MAX_MEMORY, compile_program
from ai_agents.guardrails.registry import (
    MOST_BYTES_OF_AGENT,
    MOST_PATTERNS_OF_AGENT,
    build_guardrails,
    find_guardrails,
    forget_guardrails,
)
from tests.unit.guardrails.judging import JsonObject, blocklist, output, streamed

# Each takes some 27,000 instructions.
HEAVY = [f"/{first}{second}\\w{{1,20}}[0-9]/" for first in string.ascii_lowercase[:4] for second in "qwxyz"]


def words(count: int, length: int = 12, seed: int = 1) -> list[str]:
    chosen = random.Random(seed)
    return ["".join(chosen.choices(string.ascii_lowercase, k=length)) for _ in range(count)]


def refusal(*configs: JsonObject) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        build_guardrails(configs, are_new=True)
    return refused.value


def resident_bytes() -> int:
    gc.collect()
    give_memory_back()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_new_guardrails_have_at_most_two_thousand_patterns_in_all_and_stored_ones_may_have_more() -> None:
    most = [blocklist(*words(500, 3, seed)) for seed in range(4)]
    assert build_guardrails(most, are_new=True).size_bytes < MOST_BYTES_OF_AGENT
    more = [*most, blocklist("one more")]
    assert refusal(*more).loc == ("guardrails",)
    assert f"at most {MOST_PATTERNS_OF_AGENT} patterns" in str(refusal(*more))
    assert len(build_guardrails(more).guardrails) == 5
    refused = refusal(*more)
    assert refused.loc == ("guardrails",), "also while they are in memory"


def test_a_new_pattern_that_takes_long_to_compile_is_refused_and_a_stored_one_works() -> None:
    large = blocklist(r"/falcon\w{100,400}/")
    assert refusal(large).loc == ("guardrails", 0)
    stored = build_guardrails([large])
    assert stored.is_heavy
    assert streamed(output({**large, "action": "redact"}), [f"a falcon{'x' * 120}."]) == ("a [redacted].", None)
    assert refusal(large).loc == ("guardrails",)


def test_new_patterns_together_take_a_bounded_part_of_the_memory() -> None:
    many = [blocklist(*(f"/{start}{pattern[1:]}" for pattern in HEAVY)) for start in "abc"]
    assert "too large together" in str(refusal(*many))


def test_a_source_that_would_be_gigabytes_is_refused_before_it_is_made() -> None:
    # Each set is written out as some ten thousand characters.
    wide = ["/" + "[\u00a0-\uffff]" * 80 + word + "/" for word in words(500, 4)]
    before = resident_bytes()
    refusal(blocklist(*wide))
    assert resident_bytes() - before < 30_000_000


def test_a_list_that_is_searched_in_parts_finds_what_one_pattern_would() -> None:
    found = build_guardrails([blocklist(*HEAVY, "plain")], are_new=True)
    assert len(found.guardrails[0].rules) > 2
    guards = output({**blocklist(*HEAVY, "plain"), "action": "redact"})
    assert streamed(guards, ["one aqabc7, two dzxyz1 and pl", "ain"]) == (
        "one [redacted], two [redacted] and [redacted]",
        None,
    )


def test_what_a_program_takes_is_counted_with_all_that_searches_add() -> None:
    hostile = "".join(random.Random(3).choices("aq\u00e9 \u4e2d7", k=40_000)).encode()
    before = resident_bytes()
    programs = [compile_program(f"x{number}[a-q]{{1,40}}[a-z\u00e0-\u00ff]{{5,60}}") for number in range(40)]
    for program in programs:
        for start in range(0, len(hostile), 2000):
            program.matches.search(hostile[start : start + 2000].decode("utf-8", "ignore").encode())
    took = resident_bytes() - before
    counted = sum(program.size_bytes for program in programs)
    assert took < counted < 40 * FORMER_MAX_MEMORY // 8


def test_the_package_of_re2_keeps_no_expression_itself() -> None:
    compile_program("not kept")
    assert re2._Regexp._make.cache_info().currsize == 0


def test_patterns_go_with_the_last_guardrails_that_use_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_built", ByteCache[str, registry.GuardrailSet](registry._MOST_BYTES))
    gc.collect()
    before = len(patterns_in_use._in_use)
    configs = [blocklist(*words(20, seed=77))]
    build_guardrails(configs)
    assert find_guardrails(configs) is not None
    assert len(patterns_in_use._in_use) == before + 1
    forget_guardrails(configs)
    gc.collect()
    assert find_guardrails(configs) is None
    assert len(patterns_in_use._in_use) == before


def test_the_guardrails_in_memory_take_no_more_than_their_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    small: ByteCache[str, registry.GuardrailSet] = ByteCache(8 * 1024 * 1024)
    monkeypatch.setattr(registry, "_built", small)
    for seed in range(20):
        build_guardrails([blocklist(*words(50, seed=100 + seed))])
    assert 1 < len(small) < 20
    assert small.size_bytes <= small.max_bytes


def test_guardrails_get_little_room_where_much_is_in_use_already(monkeypatch: pytest.MonkeyPatch) -> None:
    configs = [blocklist(*words(300, seed=5))]
    usual = build_guardrails(configs)
    registry._built.clear()
    size = usual.size_bytes
    del usual
    gc.collect()
    monkeypatch.setattr(registry, "_CROWDED_BYTES", -1)
    assert build_guardrails(configs).size_bytes < size // 2
