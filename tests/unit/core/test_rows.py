"""The types of rows: they agree with what the service documents, and they catch misspellings in users' programs."""

import subprocess
import sys
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import pytest
from sqlalchemy import Table, inspect

from ai_agents.core import audit_rows, rows, table_rows
from ai_agents.store import audit_tables, models
from ai_agents.store.agents import DEFAULTS

ROOT = Path(__file__).parents[3]
OF_TABLE: list[tuple[Any, type[models.Base]]] = [
    (table_rows.RunRow, models.RunTable),
    (table_rows.FileRow, models.FileTable),
    (table_rows.MessageRow, models.MessageTable),
    (table_rows.ProviderRow, models.ProviderTable),
    (table_rows.RoleRow, models.RoleAssignmentTable),
    (audit_rows.AuditEntryRow, audit_tables.AuditEntryTable),
    (audit_rows.AuditBatchRow, audit_tables.AuditBatchTable),
]
PROGRAM = """
import asyncio
from ai_agents import AgentRunner, AgentStore, MessageStore, RunStore, ThreadStore, connect

async def main() -> None:
    async with await connect("sqlite://") as conn:
        agent = await AgentStore(conn).create("assistant", provider="echo")
        thread = await ThreadStore(conn).create(agent["id"], owner_id="ann")
        runner = AgentRunner(conn)
        message = await runner.run(thread["id"], "ann", "Hello!", on_busy="queue", metadata={{"n": 1}})
        async for event in runner.stream(thread["id"], "ann", "Hello again!", {option}="queue"):
            print(event, end="")
        page = await RunStore(conn).list(thread["id"])
        done = [run["id"] for run in page["data"] if run["status"] == "{status}"]
        print(message["{key}"], done)

asyncio.run(main())
"""


@pytest.mark.parametrize("row,model", OF_TABLE, ids=[model.__name__ for _, model in OF_TABLE])
def test_a_whole_row_has_the_columns_of_its_table(row: Any, model: type[models.Base]) -> None:
    table = inspect(model).local_table
    assert isinstance(table, Table)
    hints = get_type_hints(row)
    assert list(hints) == list(table.columns.keys())
    assert {name for name, hint in hints.items() if NoneType in get_args(hint)} == {
        name for name, column in table.columns.items() if column.nullable
    }


def test_what_can_be_changed_are_fields() -> None:
    assert list(get_type_hints(rows.AgentChanges)) == list(DEFAULTS)
    for changes, row in ((rows.AgentChanges, rows.Agent), (rows.ThreadChanges, rows.Thread)):
        assert get_type_hints(changes).items() <= get_type_hints(row).items()


def test_what_is_written_to_a_run_are_columns_of_its_table() -> None:
    written = get_type_hints(table_rows.RunValues).keys()
    assert written - {"lease_s"} == get_type_hints(table_rows.RunRow).keys()
    assert table_rows.RunValues.__required_keys__ == frozenset()


async def test_programs_are_checked(tmp_path: Path) -> None:
    programs = {
        "good": PROGRAM.format(option="on_busy", status="waiting", key="content"),
        "status": PROGRAM.format(option="on_busy", status="waitng", key="content"),
        "key": PROGRAM.format(option="on_busy", status="waiting", key="contents"),
        "option": PROGRAM.format(option="on_buzy", status="waiting", key="content"),
    }
    for name, text in programs.items():
        (tmp_path / f"{name}.py").write_text(text)
    options = ["--strict", "--no-error-summary", "--config-file=", "--cache-dir=.mypy_cache/programs"]
    command = [sys.executable, "-m", "mypy", *options, str(tmp_path)]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    errors = [line.split("/")[-1] for line in checked.stdout.splitlines() if ": error: " in line]
    assert {line.split(".py:")[0]: line.rsplit("[", 1)[-1] for line in errors} == {
        "status": "comparison-overlap]",
        "key": "typeddict-item]",
        "option": "call-arg]",
    }, checked.stdout + checked.stderr
