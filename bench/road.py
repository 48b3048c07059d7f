"""`python -m bench.road`: how many files and functions one streamed answer of the `echo` provider enters.

A move is a call that enters another file of the project than the call before. The standard library, dependencies and
threads other than the event loop's do not count. Periodic tasks fall into some turns: of several, the turn in the
middle counts.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from bench.client import Client, request

_ROOT = Path(__file__).resolve().parent.parent
_ROOMS = tuple(str(_ROOT / room) + "/" for room in ("ai_agents", "app", "worker"))
_KEY = "road-admin-key"
_WARM_TURNS = 3
_WATCHED_TURNS = 5


class Road:
    """What was entered while it was watched, in order."""

    def __init__(self) -> None:
        self.files: Counter[str] = Counter()
        self.functions: Counter[str] = Counter()
        self.moves: Counter[tuple[str, str]] = Counter()
        self._here = ""

    def __enter__(self) -> "Road":
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_error: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event != "call":
            return
        path = frame.f_code.co_filename
        if not path.startswith(_ROOMS):
            return
        file = path[len(str(_ROOT)) + 1 :]
        self.files[file] += 1
        self.functions[f"{file}:{frame.f_code.co_qualname}"] += 1
        if file != self._here:
            self.moves[self._here, file] += 1
            self._here = file


async def _walk(directory: Path) -> Road:
    from app.main import create_app
    from app.serving.server import build_server
    from app.settings import Settings

    settings = Settings(var_dir=directory, admin_key=_KEY, host="127.0.0.1", port=0)
    server = build_server(create_app(settings), settings)
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server.announce = listening.set_result
    serving = asyncio.create_task(server.serve())
    port = int((await listening).rpartition(":")[2])
    client = await Client.connect(port)
    agent = (await client.send(request("POST", "/agents", key=_KEY, body={"name": "Echo", "provider": "echo"}))).json()
    thread = (await client.send(request("POST", "/threads", key=_KEY, body={"agent_id": agent["id"]}))).json()
    message = request(
        "POST",
        f"/threads/{thread['id']}/messages",
        key=_KEY,
        body={"content": "Hello!"},
        accept="text/event-stream",
    )
    for _ in range(_WARM_TURNS):
        await client.send(message)
    await asyncio.sleep(0.2)  # what the turns before left to be done, such as a title, is no part of this one
    roads = []
    for _ in range(_WATCHED_TURNS):
        with Road() as road:
            await client.send(message)
        roads.append(road)
    client.close()
    server.stop()
    await serving
    return sorted(roads, key=lambda road: road.moves.total())[_WATCHED_TURNS // 2]


def main() -> None:
    """Print the three numbers, and with `--all` what they are made of."""
    parser = argparse.ArgumentParser(prog="python -m bench.road", description=__doc__)
    parser.add_argument("--all", action="store_true", help="name every file, function and move")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        road = asyncio.run(_walk(Path(directory)))
    if arguments.all:
        for title, counts in (("files", road.files), ("functions", road.functions), ("moves", road.moves)):
            print(f"\n{title}")
            for name, count in counts.most_common():
                print(f"{count:6} {name if isinstance(name, str) else ' -> '.join(name)}")
    print(f"{len(road.files)} files, {len(road.functions)} functions, {road.moves.total()} moves between files")


if __name__ == "__main__":
    main()
