"""The types of rows agree with the tables, and with what can be changed. What mypy says of programs: `programs.py`."""

from types import NoneType
from typing import Any, get_args, get_type_hints

import pytest
from sqlalchemy import Table, inspect

from ai_agents.core import audit_rows, rows, table_rows
from ai_agents.store import access_tables, audit_tables, models, provider_tables
from ai_agents.store.agents import DEFAULTS

OF_TABLE: list[tuple[Any, type[models.Base]]] = [
    (table_rows.RunRow, models.RunTable),
    (table_rows.FileRow, models.FileTable),
    (table_rows.MessageRow, models.MessageTable),
    (table_rows.ProviderRow, provider_tables.ProviderTable),
    (table_rows.RoleRow, access_tables.RoleAssignmentTable),
    (audit_rows.AuditEntryRow, audit_tables.AuditEntryTable),
    (audit_rows.AuditBatchRow, audit_tables.AuditBatchTable),
]


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
