"""Estimates of tokens, and what is learnt from providers."""

import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.context.tokens import Calibration, TokenEstimator, load_ratios, save_ratios
from ai_agents.core.tokens import estimate_message, estimate_text, estimate_tool
from ai_agents.core.types import (
    FileContent,
    FilePart,
    ModelMessage,
    TextPart,
    ToolCallPart,
    ToolDefinition,
    ToolResultPart,
)
from ai_agents.store.database import Database

PROSE = "Write a short poem about the sea, and explain how transactions in SQLite differ from those in PostgreSQL."


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url)
    yield made
    await made.close()


@pytest.mark.parametrize(
    "text, tokens",
    [
        (PROSE, 21),
        ("def fold(events):\n    total = 0\n    for event in events:\n        total += len(event.text)\n", 25),
        ('{"id":"0193f1c2-7a54-7c3e-9b1d-2f6a8c0e4d11","price":129.95,"created_at":"2026-11-22T10:00:00Z"}', 58),
        ("今天天气很好,我们一起去公园散步吧。这个问题比较复杂,需要更多的时间来分析。", 26),
        ("Сегодня очень хорошая погода, и мы решили пойти в парк, чтобы немного отдохнуть.", 21),
        ("Künstliche Intelligenz kann Werkzeuge aufrufen, um Aufgaben zu erledigen.", 18),
    ],
)
def test_an_estimate_is_near_what_a_real_vocabulary_gives(text: str, tokens: int) -> None:
    assert tokens / 1.3 <= estimate_text(text) <= tokens * 1.3


def test_nothing_has_no_tokens_and_anything_has_one() -> None:
    assert estimate_text("") == 0
    assert estimate_text(" ") == 1


@given(st.text(), st.text())
def test_more_text_never_has_fewer_tokens(text: str, more: str) -> None:
    assert estimate_text(text) <= estimate_text(text + more) <= estimate_text(text) + estimate_text(more)


def test_lone_surrogates_are_counted_like_anything_else() -> None:
    assert estimate_text("\ud800") >= 1


def test_an_estimate_takes_microseconds() -> None:
    text = PROSE * 1_000
    best = min(_seconds_to_estimate(text) for _ in range(5))
    assert best / (len(text) / 1024) < 100e-6  # 4 µs per kB on an idle machine, and 20 at most are allowed there


def _seconds_to_estimate(text: str) -> float:
    began = time.perf_counter()
    estimate_text(text)
    return time.perf_counter() - began


@pytest.mark.parametrize(
    "part, least, most",
    [
        (ToolCallPart("a", "calculator", {"expression": "1+1"}), 12, 40),
        (ToolCallPart("a", "calculator", {}, malformed="x" * 1_000), 200, 300),
        (ToolResultPart("a", "calculator", {"rows": ["word"] * 100}), 100, 300),
        (ToolResultPart("a", "calculator", object()), 10, 60),
        (FilePart("f", "a.png", "image/png", 5_000_000), 1_000, 3_000),
        (FilePart("f", "a.txt", "text/plain", 4_000), 900, 1_200),
        (FilePart("f", "a.pdf", "application/pdf", 20_000_000), 10_000, 60_000),
        (FilePart("f", "a.png", "image/png", 9, facts={"width": 750, "height": 100}), 130, 140),
        (FilePart("f", "a.png", "image/png", 9, facts={"width": 20_000, "height": 20_000}), 1_600, 1_700),
        (FilePart("f", "a.png", "image/png", 9, facts={"width": 16_000, "height": 10}), 85, 130),
        (FilePart("f", "a.pdf", "application/pdf", 9, facts={"pages": 3, "text_tokens": 500}), 500, 600),
        (
            FilePart(
                "f", "a.pdf", "application/pdf", 9, facts={"pages": 3, "text_tokens": 500}, content=FileContent("data")
            ),
            5_300,
            5_400,
        ),
        (FilePart("f", "a.png", "image/png", 9, content=FileContent("name")), 10, 50),
    ],
)
def test_every_kind_of_part_has_its_cost(part: ToolCallPart | ToolResultPart | FilePart, least: int, most: int) -> None:
    assert least <= estimate_message(ModelMessage("user", (part,))) <= most


def test_an_unknown_model_is_counted_as_estimated() -> None:
    tokens = TokenEstimator().for_model("openai", "new")
    assert tokens.text(PROSE) == estimate_text(PROSE)
    assert tokens.message(ModelMessage("user", (TextPart(PROSE),))) > tokens.text(PROSE)
    assert tokens.calibrated(estimate_tool(ToolDefinition("calculator", PROSE))) > tokens.text(PROSE)
    assert tokens.method == "estimate"


def test_reports_move_the_ratio_to_the_true_value() -> None:
    estimator = TokenEstimator()
    for _ in range(20):
        estimator.observe("anthropic", "claude", 1_000, 1_300)
    assert estimator.for_model("anthropic", "claude").ratio == pytest.approx(1.3, abs=0.01)
    assert estimator.for_model("anthropic", "other").ratio == 1.0
    assert estimator.for_model("openai", "claude").ratio == 1.0


def test_the_first_report_counts_half() -> None:
    estimator = TokenEstimator()
    estimator.observe("openai", "gpt", 1_000, 1_200)
    assert estimator.for_model("openai", "gpt").ratio == pytest.approx(1.1)
    assert estimator.for_model("openai", "gpt").method == "calibrated estimate"


@given(st.lists(st.tuples(st.integers(-5, 10**6), st.one_of(st.none(), st.integers(-5, 10**9))), max_size=40))
def test_no_report_moves_a_ratio_beyond_its_limits(reports: list[tuple[int, int | None]]) -> None:
    estimator = TokenEstimator()
    for estimated, reported in reports:
        estimator.observe("openai", "gpt", estimated, reported)
    assert 0.4 <= estimator.for_model("openai", "gpt").ratio <= 2.5


@pytest.mark.parametrize(
    "provider, model, estimated, reported",
    [("p", "m", 1_000, None), ("p", "m", 1_000, 0), ("p", "m", 100, 900), ("p" * 65, "m", 1_000, 1_300)],
)
def test_useless_reports_are_ignored(provider: str, model: str, estimated: int, reported: int | None) -> None:
    estimator = TokenEstimator()
    estimator.observe(provider, model, estimated, reported)
    assert estimator.take_unsaved() == []


def test_the_oldest_models_are_forgotten() -> None:
    estimator = TokenEstimator()
    for number in range(1_000):
        estimator.observe("p", f"model-{number}", 1_000, 1_300)
    estimator.observe("p", "model-0", 1_000, 1_300)
    estimator.observe("p", "one-more", 1_000, 1_300)
    assert estimator.for_model("p", "model-1").ratio == 1.0
    assert estimator.for_model("p", "model-0").ratio > 1.1
    assert estimator.for_model("p", "one-more").ratio > 1.1


def test_only_changed_ratios_have_to_be_saved() -> None:
    estimator = TokenEstimator()
    estimator.observe("p", "m", 1_000, 1_300)
    assert [known.model for known in estimator.take_unsaved()] == ["m"]
    assert estimator.take_unsaved() == []
    for _ in range(50):
        estimator.observe("p", "m", 1_000, 1_300)
    estimator.take_unsaved()
    for _ in range(50):
        estimator.observe("p", "m", 1_000, 1_301)
    assert estimator.take_unsaved() == []


async def test_ratios_outlive_the_process(database: Database) -> None:
    first = [Calibration("p", "m", 1.25, 3), Calibration("p", "n", 0.5, 1)]
    await database.write(lambda c: save_ratios(c, first))
    await database.write(lambda c: save_ratios(c, [Calibration("p", "m", 1.5, 4)]))
    await database.write(lambda c: save_ratios(c, []))
    loaded = await database.read(load_ratios)
    assert loaded == [Calibration("p", "n", 0.5, 1), Calibration("p", "m", 1.5, 4)]
    estimator = TokenEstimator(loaded)
    assert estimator.for_model("p", "m").ratio == 1.5
    assert estimator.take_unsaved() == []


def test_a_steadied_ratio_is_up_to_a_quarter_higher_and_hardly_ever_changes() -> None:
    assert Calibration("p", "m").steadied() == Calibration("p", "m")
    ratios = [0.4 + number / 100 for number in range(211)]
    steady = [Calibration("p", "m", ratio, 9).steadied().ratio for ratio in ratios]
    assert all(
        ratio <= rounded * 1.000_001 <= ratio * 1.25 * 1.000_002 for ratio, rounded in zip(ratios, steady, strict=True)
    )
    assert steady == sorted(steady)
    assert len(set(steady)) <= 10
