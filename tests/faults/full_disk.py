"""A service on a disk of a few megabytes: `python -m tests.faults.full_disk <empty folder> <megabytes> <refusals>`.

Mounts a small file system on the folder, in a name space of its own, and goes on until so many requests were refused.
Exits with 77 where that cannot be mounted.
"""

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from ai_agents.attachments.folder import ID_FILE
from tests.api.service import Service, check_problem, make_agent, make_thread, open_service, settings_for

NO_MOUNT = 77
MB = 1_000_000
# Longer than the longest pause between two tries of a run to record its answer.
WAITS_S = 2.5


@asynccontextmanager
async def opened(database: Path, files: Path, var: Path) -> AsyncGenerator[tuple[Service, httpx.AsyncClient]]:
    """A service with its database and its files in these places, and a user."""
    settings = settings_for(f"sqlite:///{database}", var, files_dir=files, max_requests_per_minute=1_000_000)
    async with open_service(settings) as service:
        yield service, await service.user("alice")


def files_in(directory: Path) -> set[str]:
    """Names of all uploaded files in a folder."""
    return {path.name for path in directory.rglob("*") if path.is_file() and path.name != ID_FILE}


async def fill_with_files(disk: Path, elsewhere: Path, refusals: int) -> None:
    """Upload until the disk is full, again and again; some of what is there is deleted in between."""
    rng = random.Random(7)
    async with opened(elsewhere / "files.db", disk / "files", elsewhere) as (_service, alice):
        kept: dict[str, bytes] = {}
        refused = 0
        while refused < refusals:
            content = (f"{rng.random()} " * 40_000).encode()[: rng.choice((1, 4_000, 100_000, 700_000))]
            content = str(rng.random()).encode() + content
            answer = await alice.post("/files", files={"file": ("a.txt", content)})
            if answer.status_code == 201:
                kept[answer.json()["id"]] = content
                continue
            check_problem(answer, 507, "storage_full")
            refused += 1
            found = {(await alice.get(f"/files/{each}")).json()["sha256"] for each in kept}
            assert files_in(disk / "files") == found, "a refused upload left something"
            for file_id in rng.sample(sorted(kept), len(kept) // 3):
                assert (await alice.get(f"/files/{file_id}/content")).content == kept[file_id]
                assert (await alice.delete(f"/files/{file_id}")).status_code == 204
                del kept[file_id]
        for file_id, content in kept.items():
            assert (await alice.get(f"/files/{file_id}/content")).content == content


async def fill_with_messages(disk: Path, elsewhere: Path, refusals: int) -> None:
    """Talk until the disk of the database is full, make some room, and go on, again and again."""
    database = disk / "full.db"
    async with opened(database, elsewhere / "files", elsewhere) as (_service, alice):
        agent = await make_agent(alice)
        threads: list[str] = [(await make_thread(alice, agent["id"]))["id"] for _ in range(3)]
        reserve, *ballast = make_ballast(disk, pieces=refusals)
        answered: set[str] = set()
        number = 0
        while ballast:
            number += 1
            text = f"{number} {'x' * 5_000}"
            body = {"content": text, "on_busy": "queue"}
            sending = asyncio.create_task(alice.post(f"/threads/{threads[number % 3]}/messages", json=body))
            # The answer to a message that was accepted waits for room.
            while not (await asyncio.wait({sending}, timeout=WAITS_S))[0]:
                (ballast or [reserve]).pop().unlink()
            answer = await sending
            if answer.status_code == 201:
                answered.add(text)
                continue
            check_problem(answer, 507, "storage_full")
            assert (await alice.get("/threads")).status_code == 200, "reading needs no room"
            if ballast:
                ballast.pop().unlink()
        reserve.unlink(missing_ok=True)
        for thread_id in threads:
            answer = await alice.post(f"/threads/{thread_id}/messages", json={"content": "more", "on_busy": "queue"})
            assert answer.status_code == 201, answer.text
        assert answered <= {text async for text in said_in(alice, threads)}
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def make_ballast(disk: Path, *, pieces: int) -> list[Path]:
    """Files that leave a quarter of the room: one of a quarter, to go on with at the end, and so many smaller ones."""
    room = os.statvfs(disk)
    quarter = room.f_bavail * room.f_frsize // 4
    made = [disk / f"ballast.{number}" for number in range(pieces + 1)]
    for number, piece in enumerate(made):
        piece.write_bytes(bytes(2 * quarter // pieces if number else quarter))
    return made


async def said_in(client: httpx.AsyncClient, threads: list[str]) -> AsyncGenerator[str]:
    """What the users said in these threads."""
    for thread_id in threads:
        path: str | None = f"/threads/{thread_id}/messages?limit=100"
        while path is not None:
            page = (await client.get(path)).json()
            for message in page["data"]:
                if message["role"] == "user":
                    yield message["content"]
            path = f"/threads/{thread_id}/messages?limit=100&after={page['next']}" if page["next"] else None


def main() -> None:
    """Run both scenarios, each on a disk of its own."""
    directory, megabytes, refusals = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    for fill in (fill_with_files, fill_with_messages):
        disk, elsewhere = directory / fill.__name__ / "disk", directory / fill.__name__ / "elsewhere"
        disk.mkdir(parents=True)
        elsewhere.mkdir()
        if subprocess.call(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes * MB}", "tmpfs", str(disk)]
        ):  # wherever it is
            sys.exit(NO_MOUNT)
        asyncio.run(fill(disk, elsewhere, refusals))


if __name__ == "__main__":
    main()
