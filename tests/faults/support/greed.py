"""What one ordinary user can do to take all of a process: each attack is one request, sent again and again."""

import io
import random
import string
from collections.abc import Awaitable, Callable
from functools import cache
from itertools import count
from typing import Any

import aiohttp
import orjson

from tests.fakes import samples

_LETTERS = string.ascii_lowercase
_number = count()


class Attacker:
    """A user with an agent and threads that are as large as they may be."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._address = address
        self._long_thread = ""
        self._wide_thread = ""
        self._guarded: list[str] = []

    async def prepare(self) -> None:
        """Make what the attacks use."""
        agent = (await self._made("/agents", {"name": "large", "provider": "echo"}))["id"]
        many = [{"role": ("user", "assistant")[n % 2], "content": words(60, n)} for n in range(900)]
        self._long_thread = (await self._made("/threads", {"agent_id": agent, "messages": many}))["id"]
        wide = [{"role": ("user", "assistant")[n % 2], "content": '\u00e9"' * 45_000} for n in range(5)]
        self._wide_thread = (await self._made("/threads", {"agent_id": agent, "messages": wide}))["id"]

    async def patterns(self) -> int:
        """An agent with patterns of their own, just as large as they may be, or too large."""
        number = next(_number)
        wordy = [f"/{_LETTERS[n]}{number}x\\w{{1,20}}[0-9]/" for n in range(12 + number % 12)]
        lists = [[f"{word}{number}" for word in words(250, number * 8 + n).split()] for n in range(8)]
        guardrails = [wordy] if number % 2 else lists
        body = {"name": "a", "guardrails": [{"type": "blocklist", "patterns": each} for each in guardrails]}
        return (await self._post("/agents", body))[0]

    async def schemas(self) -> int:
        """An agent with an output schema of many patterns."""
        number = next(_number)
        named = {f"p{n}": {"type": "string", "pattern": f"^{number}[a-z]{{1,{n + 1}}}$"} for n in range(250)}
        body = {"name": "a", "output_schema": {"type": "object", "properties": named}}
        return (await self._post("/agents", body))[0]

    async def documents(self) -> int:
        """A small document that takes long to read."""
        form = aiohttp.FormData()
        form.add_field("file", slow_document(), filename="a.docx")
        async with self._session.post(f"{self._address}/files", data=form) as response:
            await response.read()
            return response.status

    async def context(self) -> int:
        """What a model would be sent of a long thread."""
        strategy = '{"strategy":"last_n","n":10000}'
        return await self._get(f"/threads/{self._long_thread}/context", strategy=strategy)

    async def lists(self) -> int:
        """The messages of a thread whose texts are as long as they may be."""
        return await self._get(f"/threads/{self._wide_thread}/messages", limit="100")

    async def matching(self) -> int:
        """A long message to an agent whose patterns are slow to search for."""
        if not self._guarded:
            slow = [f"/{letter}.{{1,900}}{letter}q{letter}/" for letter in _LETTERS[:12]]
            guardrails = [{"type": "blocklist", "patterns": slow, "action": "redact"}]
            agent = (await self._made("/agents", {"name": "slow", "provider": "echo", "guardrails": guardrails}))["id"]
            self._guarded = [(await self._made("/threads", {"agent_id": agent}))["id"] for _ in range(8)]
        path = f"/threads/{self._guarded[next(_number) % 8]}/messages"
        return (await self._post(path, {"content": words(60, next(_number)), "on_busy": "queue"}))[0]

    async def _made(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        status, made = await self._post(path, body)
        assert status == 201, made
        return made

    async def _post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        data = io.BytesIO(orjson.dumps(body))
        headers = {"content-type": "application/json"}
        async with self._session.post(self._address + path, data=data, headers=headers) as response:
            return response.status, await response.json(content_type=None)

    async def _get(self, path: str, **query: str) -> int:
        async with self._session.get(self._address + path, params=query) as response:
            await response.read()
            return response.status


Attack = Callable[[Attacker], Awaitable[int]]
ATTACKS: dict[str, Attack] = {
    each.__name__: each
    for each in (
        Attacker.patterns,
        Attacker.schemas,
        Attacker.documents,
        Attacker.context,
        Attacker.lists,
        Attacker.matching,
    )
}


@cache
def slow_document() -> bytes:
    """A document of a few kilobytes that takes about a second to read."""
    unpacked = "<w:p><w:r><w:t>a</w:t></w:r></w:p>" * 150_000
    return samples.docx(body=f'<w:document xmlns:w="{samples.WORD}"><w:body>{unpacked}</w:body></w:document>')


def words(number: int, seed: int) -> str:
    """So many words, the same for the same seed."""
    chosen = random.Random(seed)
    return " ".join("".join(chosen.choices(_LETTERS, k=chosen.randint(2, 12))) for _ in range(number))
