"""`ai-agents backup` and `restore`: on both databases, while runs are under way."""

import asyncio
import gzip
import io
import json
import os
import resource
import shutil
import signal
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from ai_agents.store import migrate
from ai_agents.store.models import RunTable
from app.cli import main
from app.commands import backups, databases
from app.commands.archive import HEAD
from app.commands.command import CommandFailed
from app.commands.opening import read_settings
from app.commands.whole_files import new_file
from app.serving.signals import clean_up_on_sigterm
from tests.api.service import Service, make_agent, make_thread, open_service, settings_for
from tests.support.postgres import PostgresServer
from tests.support.waiting import eventually

LONG = " ".join(f"word{number}" for number in range(60))


def quiet(_text: str) -> None:
    """How far it is, which is not shown."""


@pytest.fixture
def other_url(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """An empty place for a database of the same kind."""
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'other' / 'restored.db'}"
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    name = f"restored_{Path(database_url).name}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


async def upload(service: Service, name: str, text: str) -> str:
    """A file of the admin's."""
    made = await (await service.admin()).post("/files", files={"file": (name, text.encode())})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def test_a_backup_has_everything_and_its_runs_come_to_an_end_after_it_is_restored(
    database_url: str, other_url: str, tmp_path: Path
) -> None:
    settings = settings_for(database_url, tmp_path / "here", echo_delay_s=0.05)
    restored = settings_for(other_url, tmp_path / "there")
    archive = tmp_path / "backup.tar.gz"
    async with open_service(settings) as service:
        admin = await service.admin()
        thread = await make_thread(admin, (await make_agent(admin))["id"])
        file = await upload(service, "notes.md", "# Notes\nseven\n")
        await upload(service, "plain.txt", "nothing refers to it")
        path = f"/threads/{thread['id']}"
        tool = {"type": "http", "name": "orders", "description": "Orders.", "parameters": {"type": "object"}}
        tool |= {"method": "GET", "url": "https://shop.example/", "headers": {"X-Key": "made up"}}
        assert (await admin.post("/tools", json=tool)).status_code == 201
        asked = {"content": "Read this.", "attachments": [file]}
        assert (await admin.post(f"{path}/messages", json=asked)).status_code == 201
        begun = await admin.post(f"{path}/messages", json={"content": LONG}, headers={"prefer": "respond-async"})
        run = f"{path}/runs/{begun.json()['id']}"

        made = await asyncio.to_thread(backups.back_up, settings, archive, quiet, with_keys=False)

        assert (await admin.get(run)).json()["status"] == "running"
        assert made["files"] == 2
        assert archive.stat().st_mode & 0o077 == 0

    head, count = backups.check(archive, quiet)
    assert (head["program"], count) == ("ai-agents", made["files"])
    done = await backups.restore(restored, archive, quiet)
    # Its secrets are sealed with a key that is not in it.
    assert done == {"files": made["files"], "missing": 0, "closed": 1}
    with pytest.raises(CommandFailed, match="is not empty: a backup is restored into an empty place"):
        await backups.restore(restored, archive, quiet)

    async with open_service(restored) as service:
        admin = await service.admin()
        # Its lease ends half a minute after the backup, which is too long to wait for.
        past = update(RunTable).where(RunTable.status == "running").values(lease_expires_at=0)
        await service.container.conn.database.write(lambda c: c.execute(past))

        async def ended() -> bool:
            return bool((await admin.get(run)).json()["status"] == "completed")

        await eventually(ended)
        messages = (await admin.get(f"{path}/messages?order=desc")).json()["data"]
        assert messages[0]["content"].startswith(f"echo: {LONG}\n")
        assert (await admin.get(f"/files/{file}/content")).text == "# Notes\nseven\n"
        assert (await admin.get("/audit?action=restore")).json()["data"][0]["details"] == {"files": made["files"]}


async def test_files_that_come_and_go_while_a_backup_is_made_are_in_it_if_its_database_names_them(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(sqlite_url, tmp_path / "here")
    restored = settings_for(f"sqlite:///{tmp_path / 'there.db'}", tmp_path / "there")
    async with open_service(settings) as service:
        admin, loop = await service.admin(), asyncio.get_running_loop()
        gone = await upload(service, "gone.md", "deleted after the copy\n")
        copy_to = databases._Sqlite.copy_to
        came: list[str] = []

        async def delete() -> None:
            assert (await admin.delete(f"/files/{gone}")).status_code == 204

        def copy_between(database: databases._Sqlite, path: Path) -> None:
            came.append(
                asyncio.run_coroutine_threadsafe(upload(service, "came.md", "before the copy\n"), loop).result()
            )
            copy_to(database, path)
            asyncio.run_coroutine_threadsafe(delete(), loop).result()

        monkeypatch.setattr(databases._Sqlite, "copy_to", copy_between)
        await asyncio.to_thread(backups.back_up, settings, tmp_path / "backup.tar", quiet, with_keys=False)

    assert (await backups.restore(restored, tmp_path / "backup.tar", quiet))["missing"] == 0
    async with open_service(restored) as service:
        admin = await service.admin()
        assert (await admin.get(f"/files/{came[0]}/content")).text == "before the copy\n"
        assert (await admin.get(f"/files/{gone}/content")).text == "deleted after the copy\n"


def test_a_backup_of_an_older_schema_is_brought_to_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AI_AGENTS_DATABASE_URL", "sqlite:///old.db")
    migrate.upgrade("sqlite:///old.db", "0030")
    (tmp_path / "var" / "files").mkdir(parents=True)
    (tmp_path / "var" / "files" / "folder.id").write_text("0190\n")
    main(["backup", "old.tar"])
    told = capsys.readouterr()
    assert "The audit log does not say so" in told.err
    assert "the database and 0 files" in told.out  # the folder's id is no file of people

    monkeypatch.setenv("AI_AGENTS_DATABASE_URL", "sqlite:///new.db")
    with pytest.raises(CommandFailed, match=r"The folder of files .* is not empty"):
        asyncio.run(backups.restore(read_settings(), Path("old.tar"), quiet))
    shutil.rmtree(tmp_path / "var" / "files")
    main(["restore", "old.tar"])

    assert (tmp_path / "var" / "files" / "folder.id").read_text() == "0190\n"
    assert migrate.is_current("sqlite:///new.db")
    assert not migrate.is_current("sqlite:///old.db")


def tar_of(name: str) -> bytes:
    """An archive of another's making."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        head = json.dumps({"program": "ai-agents", "format": 1, "database": "sqlite", "revision": "0001"}).encode()
        for member, text in ((HEAD, head), (name, b"text")):
            info = tarfile.TarInfo(member)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return content.getvalue()


async def test_a_backup_that_was_cut_or_changed_is_noticed_before_anything_is_written(
    sqlite_url: str, tmp_path: Path
) -> None:
    settings = settings_for(sqlite_url, tmp_path / "here")
    async with open_service(settings) as service:
        await upload(service, "notes.md", "# Notes\nseven\n")
    archive = tmp_path / "backup.tar"
    backups.back_up(settings, archive, quiet, with_keys=False)
    whole = archive.read_bytes()
    there = settings_for(f"sqlite:///{tmp_path / 'there.db'}", tmp_path / "there")

    async def refusal_of(content: bytes) -> str:
        archive.write_bytes(content)
        with pytest.raises(CommandFailed) as refused:
            await backups.restore(there, archive, quiet)
        return str(refused.value)

    assert "is cut: its end is missing" in await refusal_of(whole[: whole.index(b"end.json")])
    assert "damaged" in await refusal_of(whole[: len(whole) // 2])
    assert "is not what its end says" in await refusal_of(whole.replace(b"seven", b"eight"))
    for name in ("../outside", "/outside", "files/../../outside", "files/ab/.hidden"):
        assert f"it has {name!r}" in await refusal_of(tar_of(name))
    assert "is no backup" in await refusal_of(b"")
    assert "is no backup" in await refusal_of(gzip.compress(whole)[:-100])
    wrong_sum = bytearray(gzip.compress(whole[:2000]))
    wrong_sum[-8] ^= 1
    assert "is damaged" in await refusal_of(bytes(wrong_sum))
    assert "is no backup of" in await refusal_of(whole.replace(b'"format":1', b'"format":2'))
    assert not (tmp_path / "there.db").exists()
    assert not (tmp_path / "there").exists()


def test_backups_at_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def refusal_of(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return str(ended.value)

    assert refusal_of("backup").startswith("There is nothing to back up: the database var/ai-agents.db has no tables.")
    main(["keys", "create", "--user", "ada"])
    (tmp_path / "var" / "admin.key").write_text("admin_made_up\n")
    capsys.readouterr()
    main(["backup", "one.tar.gz"])
    told = capsys.readouterr()
    assert told.out.startswith("one.tar.gz: the database and 0 files, ")
    assert "Not in it: var/admin.key. Keep them in another place" in told.err
    assert refusal_of("backup", "one.tar.gz") == "one.tar.gz exists already: a backup replaces nothing."
    main(["backup", "two.tar", "--with-keys"])
    main(["restore", "two.tar", "--check"])
    assert "two.tar is whole: sqlite, schema " in capsys.readouterr().out
    assert refusal_of("restore", "two.tar").endswith("is not empty: a backup is restored into an empty place.")
    assert refusal_of("backup", "none/x.tar") == f"There is no folder {tmp_path / 'none'} for the backup."
    assert refusal_of("restore", "none.tar") == "none.tar: No such file or directory."

    monkeypatch.setenv("AI_AGENTS_VAR_DIR", "elsewhere")
    main(["restore", "two.tar"])
    assert (tmp_path / "elsewhere" / "admin.key").read_text() == "admin_made_up\n"
    capsys.readouterr()
    main(["keys", "list"])
    assert "ada" in capsys.readouterr().out
    monkeypatch.setenv("AI_AGENTS_DATABASE_URL", "postgresql://someone@127.0.0.1:1/agents")
    assert refusal_of("restore", "two.tar").startswith(
        "This is a backup of sqlite, and the settings name a database of"
    )


def test_what_cannot_be_written_to_its_end_is_said_in_a_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["keys", "create", "--user", "ada"])
    main(["backup", "whole.tar"])
    size = Path("whole.tar").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def refusal_of(most_bytes: int, *arguments: str) -> str:
        before = sorted(Path().rglob("*"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, limits[1]))
        try:
            with pytest.raises(SystemExit) as ended:
                main(arguments)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert [each for each in sorted(Path().rglob("*")) if each not in before and not each.is_dir()] == []
        return str(ended.value)

    assert "could not be copied to" in refusal_of(size // 2, "backup", "backup.tar")
    assert refusal_of(size - 1024, "backup", "backup.tar") == "backup.tar: File too large."
    monkeypatch.setenv("AI_AGENTS_VAR_DIR", "elsewhere")
    assert refusal_of(size // 2, "restore", "whole.tar").endswith(".restoring/incoming: File too large.")
    main(["restore", "whole.tar"])


def test_a_backup_that_is_asked_to_end_leaves_nothing_and_two_of_one_name_do_not_mix(tmp_path: Path) -> None:
    path, former = tmp_path / "backup.tar", signal.getsignal(signal.SIGTERM)
    # Of one that was killed.
    (tmp_path / ".backup.tar.part").write_bytes(b"the beginning of another backup")
    with new_file(path) as file:
        file.write(b"one")
        with pytest.raises(BlockingIOError, match="another process is writing this file"), new_file(path):
            pass
    assert path.read_bytes() == b"one"

    def end_meanwhile() -> None:
        with new_file(tmp_path / "other.tar") as file:
            file.write(b"two")
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    try:
        clean_up_on_sigterm()
        with pytest.raises(SystemExit) as ended:
            end_meanwhile()
        assert ended.value.code == 128 + signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, former)
    assert list(tmp_path.iterdir()) == [path]


def test_a_program_of_postgresql_that_is_too_old_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert databases._program("pg_dump", 1)
    with pytest.raises(CommandFailed, match=r"The server is PostgreSQL 99, and pg_dump here is [0-9]+: install"):
        databases._program("pg_dump", 99)
    with pytest.raises(CommandFailed, match="There is no pg_nothing here, which backups of PostgreSQL need"):
        databases._program("pg_nothing", 1)
