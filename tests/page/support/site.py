"""A running service with a database of its own, and the people who visit its page."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from ai_agents.core.certificates import trusted_certificates
from tests.fakes.provider_server import FakeProviderServer
from tests.faults.support.replica import Replica

ADMIN_KEY = "admin-key-of-the-page-tests"


@dataclass(frozen=True)
class Person:
    """A user. `api` makes requests with the user's key, to arrange what the page is to show."""

    user_id: str
    key: str
    api: httpx.AsyncClient

    async def make(self, path: str, body: Mapping[str, Any]) -> Any:
        """What a POST of this body makes."""
        answer = await self.api.post(path, json=body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def get(self, path: str, **query: str) -> Any:
        """What a GET tells."""
        answer = await self.api.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def agent(self, **fields: Any) -> dict[str, Any]:
        """A new agent that the fake OpenAI answers for; `provider="echo"` repeats what it is told."""
        model = {} if fields.get("provider") == "echo" else {"model": "gpt-4o"}
        made: dict[str, Any] = await self.make(
            "/agents", {"name": "Assistant", "provider": "openai", **model, **fields}
        )
        return made

    async def thread(self, agent_id: str, *said: str, **fields: Any) -> dict[str, Any]:
        """A new thread that starts with these messages, of the user and the assistant in turn."""
        roles = ("user", "assistant")
        messages = [{"role": roles[number % 2], "content": text} for number, text in enumerate(said)]
        made: dict[str, Any] = await self.make("/threads", {"agent_id": agent_id, "messages": messages, **fields})
        return made


class Site:
    """The service. `fake` answers in place of the providers: script it, or let it answer by itself."""

    def __init__(self, replica: Replica, fake: FakeProviderServer, opened: AsyncExitStack) -> None:
        self.replica = replica
        self.fake = fake
        self.admin = Person("admin", ADMIN_KEY, httpx.AsyncClient(base_url=replica.url, headers=_bearer(ADMIN_KEY)))
        self._opened = opened
        self._numbers = count(1)
        opened.push_async_callback(self.admin.api.aclose)

    @property
    def url(self) -> str:
        """Where the page is."""
        return self.replica.url

    async def person(self, *, admin: bool = False, user_id: str | None = None) -> Person:
        """A new user with a key."""
        user_id = user_id or f"person-{next(self._numbers)}"
        made = await self.admin.make("/keys", {"user_id": user_id, "name": "page", "admin": admin})
        client = httpx.AsyncClient(
            base_url=self.url, headers=_bearer(made["key"]), timeout=30, verify=trusted_certificates()
        )
        self._opened.push_async_callback(client.aclose)
        return Person(user_id, made["key"], client)


@asynccontextmanager
async def open_site(directory: Path, database_url: str, **environment: str) -> AsyncGenerator[Site]:
    """A service in a process of its own, ended at the end."""
    async with AsyncExitStack() as opened:
        fake = await opened.enter_async_context(FakeProviderServer())
        provided = {name.upper(): value for name, value in fake.settings().items()}
        own = {
            "AI_AGENTS_DATABASE_URL": database_url,
            "AI_AGENTS_ADMIN_KEY": ADMIN_KEY,
            "AI_AGENTS_VAR_DIR": str(directory),
        }
        replica = Replica(directory, "site", {**own, **provided, **environment}, arguments=["--page-link"])
        opened.callback(replica.kill)
        await replica.start()
        yield Site(replica, fake, opened)
        assert not replica.take_complaints()


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}
