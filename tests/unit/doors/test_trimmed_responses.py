"""A response whose rows are trimmed while they are read is told to be gone, and never shown without a part."""

import pytest
from sqlalchemy import Connection

from ai_agents.core.exceptions import LogTrimmed
from ai_agents.core.types import LogRow
from ai_agents.store import log_trimming, migrate, thread_log
from ai_agents.store.transactions import LOG_ROWS
from app.doors.responses import reading
from app.doors.responses.ids import ResponseId
from tests.unit.store.test_log_trimming import Thread


@pytest.mark.parametrize("after_seq", [0, 3])
def test_rows_that_go_while_they_are_read_are_told_to_be_gone(
    after_seq: int, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = thread_log.list_after

    def look(connection: Connection) -> None:
        connection.info[LOG_ROWS] = []
        thread = Thread(connection, [("begin", 0), ("say", 0), ("wait", 0), ("say", 0), ("end", 0), ("old", 0)])
        asked = ResponseId(thread.rows[0].run_id or "", after_seq)

        def read_late(*arguments: object, **named: object) -> list[LogRow]:
            log_trimming.trim(connection, thread.id, thread.before)
            return read(*arguments, **named)  # type: ignore[arg-type]  # as they were given

        assert [row.seq for row in reading._rows_of(connection, thread.id, asked)] == (
            [4, 5] if after_seq else [1, 2, 3]
        )
        monkeypatch.setattr(thread_log, "list_after", read_late)
        with pytest.raises(LogTrimmed):
            reading._rows_of(connection, thread.id, asked)

    migrate.run_on(sqlite_url, look, alone=False)
