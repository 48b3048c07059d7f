"""The files of an SQLite database, which only the user of the process may read."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

import ai_agents
from ai_agents.core.private_files import make_private, make_private_directory
from ai_agents.store.migrate import upgrade
from ai_agents.store.sqlite_files import all_files


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """A machine where everybody may read what others make."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_the_file_of_the_library_is_for_its_user_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/data/of/agents.db"
    conn = await ai_agents.connect(url)
    await ai_agents.AgentStore(conn).create("assistant")

    made = {path.name: rights(path) for path in all_files(make_url(url)) if path.exists()}
    assert {"agents.db", "agents.db-wal", "agents.db-shm"} <= set(made)
    assert set(made.values()) == {0o600}
    assert [rights(tmp_path / each) for each in ("data", "data/of")] == [0o700, 0o700]
    await conn.close()


def test_a_migrated_file_is_for_its_user_alone(tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path}/new/agents.db")

    assert (rights(tmp_path / "new"), rights(tmp_path / "new" / "agents.db")) == (0o700, 0o600)


async def test_directories_and_files_of_the_caller_stay_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "agents.db"
    sqlite3.connect(file).close()
    file.touch()
    file.chmod(0o640)
    tmp_path.chmod(0o750)

    conn = await ai_agents.connect(f"sqlite:///{file}")
    await conn.close()

    assert (rights(tmp_path), rights(file)) == (0o750, 0o640)


async def test_a_file_behind_a_link_is_made_where_the_link_points(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")

    conn = await ai_agents.connect(f"sqlite:///{tmp_path}/link.db")
    await conn.close()

    assert rights(tmp_path / "real.db") == 0o600


def test_a_directory_that_all_users_share_stays_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)

    assert not make_private(tmp_path)
    assert rights(tmp_path) == 0o1777


def test_rights_of_other_users_are_taken_once(tmp_path: Path) -> None:
    make_private_directory(tmp_path / "var")
    (tmp_path / "var").chmod(0o755)

    assert [make_private(tmp_path / "var") for _ in range(2)] == [True, False]
    assert rights(tmp_path / "var") == 0o700
    assert not make_private(tmp_path / "missing")
