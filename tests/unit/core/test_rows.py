"""The types of rows: they agree with what the service documents, and they catch misspellings in users' programs."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from pydantic import BaseModel
from sqlalchemy import Table, inspect

from ai_agents.core import rows, table_rows
from ai_agents.core.types import TokenCounts
from ai_agents.store import models
from ai_agents.store.agents import DEFAULTS
from app.schemas import common
from app.schemas.agents import AgentRead
from app.schemas.context import ContextMessage, ContextRead, ContextTokens, ContextTool, LeftOutMessageRead
from app.schemas.files import FileRead
from app.schemas.jobs import JobRead
from app.schemas.keys import KeyRead, NewKeyRead
from app.schemas.messages import MessageRead
from app.schemas.roles import RoleRead
from app.schemas.runs import RunRead
from app.schemas.threads import ThreadRead
from app.schemas.tickets import TicketRead
from app.schemas.usage import UsageRead

ROOT = Path(__file__).parents[3]
DESCRIBED: list[tuple[Any, type[BaseModel]]] = [
    (rows.Agent, AgentRead),
    (rows.Thread, ThreadRead),
    (rows.Message, MessageRead),
    (rows.Run, RunRead),
    (rows.Job, JobRead),
    (rows.File, FileRead),
    (rows.Key, KeyRead),
    (rows.NewKey, NewKeyRead),
    (rows.Role, RoleRead),
    (rows.Ticket, TicketRead),
    (rows.UsageSum, UsageRead),
    (rows.ContextView, ContextRead),
    (rows.ViewedMessage, ContextMessage),
    (rows.ViewedTool, ContextTool),
    (rows.ViewedTokens, ContextTokens),
    (rows.LeftOutMessage, LeftOutMessageRead),
]
OF_TABLE: list[tuple[Any, type[models.Base]]] = [
    (table_rows.RunRow, models.RunTable),
    (table_rows.FileRow, models.FileTable),
    (table_rows.MessageRow, models.MessageTable),
    (rows.Role, models.RoleAssignmentTable),
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


def shape(annotation: Any) -> Any:
    """What a value of this type looks like in JSON: keys, nullability and literals."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return shape(arguments[0])
    if origin is Literal:
        return frozenset(arguments)
    if origin in (Union, UnionType):
        return frozenset(shape(each) for each in arguments)
    if origin is list:
        return ("list", shape(arguments[0]))
    if origin in (dict, Mapping) or annotation is dict:
        return "object"
    if is_typeddict(annotation):
        return "object"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "object"
    return {NoneType: None, str: "string", int: "integer", bool: "boolean", float: "number"}.get(annotation, annotation)


def flat(found: Any) -> Any:
    """A union of one kind of value is that kind."""
    if isinstance(found, frozenset):
        kinds = frozenset(flat(each) for each in found)
        return next(iter(kinds)) if len(kinds) == 1 else kinds
    if isinstance(found, tuple):
        return (found[0], flat(found[1]))
    return found


@pytest.mark.parametrize("row,model", DESCRIBED, ids=[model.__name__ for _, model in DESCRIBED])
def test_what_the_service_documents_is_what_the_stores_return(row: Any, model: type[BaseModel]) -> None:
    hints = get_type_hints(row)
    assert hints.keys() == model.model_fields.keys()
    described = get_type_hints(model, include_extras=True)
    for name, hint in hints.items():
        expected = flat(shape(described[name]))
        # A key that may be absent is documented as one that may be null.
        returned = hint | None if name in row.__optional_keys__ else hint
        assert flat(shape(returned)) == expected, name


@pytest.mark.parametrize("row,model", [(TokenCounts, common.TokenUsage), (rows.Money, common.Cost)])
def test_counts_and_amounts_are_documented_as_they_are(row: Any, model: type[BaseModel]) -> None:
    assert get_type_hints(row).keys() == model.model_fields.keys()
    assert row.__optional_keys__ == {name for name, field in model.model_fields.items() if not field.is_required()}


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
    assert written - {"lease_s"} == get_type_hints(table_rows.RunRow).keys() - {"lease_expires_at"}
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
