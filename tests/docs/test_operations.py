"""What the pages for operators say of errors holds."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ai_agents.store.database import Database


async def test_an_error_of_the_database_does_not_repeat_what_was_said(database_url: str) -> None:
    database = Database(database_url)
    wrong = text("UPDATE messages SET no_such_column = :said")

    with pytest.raises(DBAPIError) as raised:
        await database.write(lambda c: c.execute(wrong, {"said": "between you and me"}))

    await database.close()
    assert "no_such_column" in str(raised.value)
    assert "between you and me" not in str(raised.value)
