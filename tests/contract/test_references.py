"""The pages that are made of the code are as the code is now."""

import re
import tomllib
from pathlib import Path

import orjson

from ai_agents.core.problems import STATUSES, problem_with
from app.problem_words import PROBLEMS
from app.settings import Settings
from app.settings.provider_files import read_prices, read_providers
from scripts import write_problems, write_settings
from tests.docs.examples import FENCE
from tests.docs.site import page


def test_the_page_of_settings_has_each_with_what_it_takes_and_its_default() -> None:
    text = write_settings.PAGE.read_text(encoding="utf-8")

    assert write_settings.render(text) == text, "run `make openapi`"
    assert text.count("\n| `") == len(Settings.model_fields)


def test_the_page_of_problems_has_each_code() -> None:
    text = write_problems.PAGE.read_text(encoding="utf-8")

    assert write_problems.render(text) == text, "run `make openapi`"
    assert set(PROBLEMS) == set(STATUSES)


def test_the_problem_that_its_page_shows_is_as_it_is_sent() -> None:
    (shown,) = [fence["body"] for fence in FENCE.finditer(page("problems").read_text()) if fence["language"] == "json"]
    told = orjson.loads(shown)

    assert problem_with(told["code"], told["detail"]).items() <= told.items()
    assert set(told) == {"request_id", *problem_with("", ""), *PROBLEMS[told["code"]].members}


def test_what_the_framework_may_try_again_a_client_may_too() -> None:
    for code, words in PROBLEMS.items():
        classes = write_problems.classes_of(code)
        assert words.again or not all(each.retryable for each in classes) or not classes, code


def test_the_files_of_providers_and_prices_on_their_page_are_read() -> None:
    blocks = [fence for fence in FENCE.finditer(page("providers").read_text()) if fence["mark"]]
    providers, prices = blocks

    [groq, house] = read_providers(orjson.dumps(tomllib.loads(providers["body"])).decode())
    assert (groq.name, house.name) == ("groq", "house")
    assert set(read_prices(prices["body"])) == {"openai:my-model", "ollama:"}


def test_files_and_folders_that_the_papers_for_developers_name_are_there() -> None:
    root = Path(__file__).parents[2]
    rooms = ("ai_agents", "app", "worker", "tests", "scripts", "bench", "migrations", "examples", "deploy")
    there = [f"/{path.relative_to(root)}" for room in rooms for path in (root / room).rglob("*")]

    for name in ("docs/architecture.md", "CONTRIBUTING.md", "SECURITY.md"):
        named = re.findall(r"`([a-z_]+(?:/[a-z_0-9]+)*(?:\.(?:py|mjs)|/))`", (root / name).read_text(encoding="utf-8"))
        gone = [each for each in named if not any(path.endswith(f"/{each.rstrip('/')}") for path in there)]
        assert [each for each in gone if not (root / each).is_dir()] == [], name
