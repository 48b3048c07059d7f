"""What an operator is told holds: the table of settings, and the commands."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ai_agents.store.database import Database
from app.settings import Settings
from tests.docs.conftest import Run
from tests.docs.examples import examples_of

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
_ROW = re.compile(r"^\| (`[A-Z][A-Z_]+`(?:, `[A-Z][A-Z_]+`)*) \| (?:`([^`]*)`)? ?\| (.*) \|$", re.MULTILINE)


def variables_of(name: str, field: FieldInfo) -> tuple[str, ...]:
    """The environment variables that set a field, in the order in which they are looked at."""
    match field.validation_alias:
        case AliasChoices() as alias:
            return tuple(map(str, alias.choices))
        case None:
            return (f"AI_AGENTS_{name.upper()}",)
        case alias:
            return (str(alias),)


def shown(default: Any) -> str:
    """A default as one would set it; empty where there is none."""
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default is None else f"{default:g}" if isinstance(default, float) else str(default)


def test_the_table_of_settings_has_each_of_them_once_with_its_default() -> None:
    rows = _ROW.findall(OPERATIONS.read_text())

    told = sorted((tuple(re.findall(r"[A-Z_]+", variables)), default) for variables, default, _ in rows)

    fields = Settings.model_fields.items()
    assert told == sorted((variables_of(name, field), shown(field.default)) for name, field in fields)


def test_the_commands_for_an_operator_print_what_the_page_shows(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    examples = examples_of(OPERATIONS)
    assert len(examples) >= 2

    for example, output in run(examples):
        assert example.explains(output), f"line {example.line} shows\n{example.shown}\nand printed\n{output}"


async def test_an_error_of_the_database_does_not_repeat_what_was_said(database_url: str) -> None:
    database = Database(database_url)
    wrong = text("UPDATE messages SET no_such_column = :said")

    with pytest.raises(DBAPIError) as raised:
        await database.write(lambda c: c.execute(wrong, {"said": "between you and me"}))

    await database.close()
    assert "no_such_column" in str(raised.value)
    assert "between you and me" not in str(raised.value)
