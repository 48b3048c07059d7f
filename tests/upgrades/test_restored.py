"""A backup of the version before, made while it served, is restored into this one: what was under way is done."""

import asyncio
import hashlib
import os
from pathlib import Path

from sqlalchemy import Connection, text, update

from ai_agents.store import migrate
from ai_agents.store.models import RunTable
from ai_agents.testing import ScriptedProvider
from app.commands import backups
from tests.api.service import open_service, settings_for
from tests.support.postgres import PostgresServer
from tests.support.waiting import eventually
from tests.upgrades.additive import RELEASED
from tests.upgrades.recording import read_recording

# Of the runs that the recording tells of, the third is under way and the fourth waits for it.
_BEGUN = 4


def quiet(_text: str) -> None:
    """How far it is, which is not shown."""


def keep_its_files(folder: Path, id: str) -> None:  # as everywhere in rows
    """The folder of files, as the released version had it."""
    content = b"of ada"
    name = hashlib.sha256(content).hexdigest()
    (folder / name[:2]).mkdir(parents=True)
    (folder / name[:2] / name).write_bytes(content)
    (folder / "folder.id").write_text(f"{id}\n")


def serve_for_a_while(connection: Connection) -> str:
    """What the released version did, up to where it had begun some runs; the id of its folder of files."""
    begun = 0
    for statement in read_recording()[1]:
        begun += statement.sql.startswith("INSERT INTO runs ")
        if begun > _BEGUN:
            break
        for parameters in statement.parameters:
            connection.exec_driver_sql(statement.sql, parameters)
    # So that no process goes on with it before the test says so, however long ago it was recorded.
    connection.execute(text("UPDATE runs SET lease_expires_at = 1e12 WHERE status = 'running'"))
    connection.commit()
    return str(connection.scalar(text("SELECT id FROM folders")))


async def test_a_backup_of_the_released_version_with_runs_under_way_comes_to_their_end(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    names = [f"{kind}_{os.getpid()}" for kind in ("released", "restored")]
    old, new = (postgres.create_database(name) for name in names)
    await asyncio.to_thread(migrate.upgrade, old, RELEASED)
    folder_id = await asyncio.to_thread(migrate.run_on, old, serve_for_a_while)
    here = settings_for(old, tmp_path / "here")
    # Jobs that were left over ask another model.
    there = settings_for(new, tmp_path / "there", job_model="echo:echo")
    keep_its_files(here.files, folder_id)
    await asyncio.to_thread(backups.back_up, here, tmp_path / "backup.tar", quiet, with_keys=False)

    assert await backups.restore(there, tmp_path / "backup.tar", quiet) == {"files": 1, "missing": 0, "closed": 0}

    assert (migrate.current(old), migrate.is_current(new)) == (RELEASED, True)
    async with open_service(there) as service:
        service.container.providers.add(ScriptedProvider("Waited.", "And next."))
        admin, database = await service.admin(), service.container.conn.database
        found = text("SELECT thread_id FROM runs WHERE status = 'running'")
        thread_id = await database.read(lambda c: c.execute(found).scalar_one())
        past = update(RunTable).where(RunTable.status == "running").values(lease_expires_at=0)
        await database.write(lambda c: c.execute(past))

        async def done() -> bool:
            runs = (await admin.get(f"/threads/{thread_id}/runs")).json()["data"]
            return [run["status"] for run in runs] == ["completed"] * _BEGUN

        await eventually(done)
        said = (await admin.get(f"/threads/{thread_id}/messages")).json()["data"]
        answers = [message["content"] for message in said if message["role"] == "assistant"]
        assert answers[-2:] == ["Waited.", "And next."]
    for name in names:
        postgres.drop_database(name)
