"""What the docs tell a user to type is typed, in their order, against the service as it is really run."""

import re
from pathlib import Path
from typing import get_args

from ai_agents.core.events import EventType
from ai_agents.core.problems import STATUSES
from tests.docs.conftest import Run
from tests.docs.examples import Example, examples_of

ROOT = Path(__file__).parents[2]
API = ROOT / "docs" / "api.md"
README = ROOT / "README.md"
EVENTS = set(get_args(EventType))


def section(title: str) -> str:
    """The text below a heading of the API's page, to the next heading of any level."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", API.read_text(), re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def test_every_example_of_the_api_page_prints_what_the_page_shows(run: Run) -> None:
    examples = examples_of(API)
    assert len(examples) > 15

    for example, output in run(examples):
        assert example.explains(output), f"line {example.line} shows\n{example.shown}\nand printed\n{output}"


def test_the_lines_of_the_readme_stream_an_answer(run: Run) -> None:
    lines = next(example for example in examples_of(README) if "/messages" in example.script)

    [(_, output)] = run([lines])

    assert '"text":"echo:' in output
    assert output.count("event: run.completed\n") == 1
    assert output.rpartition("event: ")[2].startswith("run.completed\n")


def test_the_page_tells_of_every_event_and_of_no_other() -> None:
    told = re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", section("Streams"), re.MULTILINE)

    assert set(told) == EVENTS
    assert len(told) == len(EVENTS)


def test_the_page_tells_of_every_code_of_a_problem_with_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (.*?) \|", section("Errors"), re.MULTILINE)

    assert {code: int(status) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)} == STATUSES


def test_the_page_for_browsers_listens_to_events_that_there_are() -> None:
    page = re.search(r"^```html\n(.*?)^```", API.read_text(), re.MULTILINE | re.DOTALL)
    assert page

    listens = set(re.findall(r'"((?:run|message|thread|tool)\.[a-z]+)"', page[1]))

    assert listens <= EVENTS
    assert {"message.delta", "run.retrying", "run.completed", "run.cancelled", "run.failed"} <= listens


def test_an_output_that_the_page_does_not_show_is_noticed() -> None:
    shown = Example(1, "", '{"id": "01985a3e-…", "n": 1, …}\n', "json")
    told_id = "01985a3e-0000-7000-8000-000000000000"

    assert shown.explains(f'{{"id":"{told_id}","n":1,"more":[]}}')
    assert not shown.explains(f'{{"id":"{told_id}","n":2,"more":[]}}')
    assert not shown.explains('{"id":"x","n":1,"more":[]}')
    assert not Example(1, "", "204\n", "text").explains("200")
