"""OpenAI's own SDK, for the door of chat completions."""

import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import openai
from openai.types.chat import ChatCompletionChunk

from ai_agents.testing import ScriptedProvider
from tests.api.files import SeeingProvider
from tests.api.live import Live
from tests.api.service import make_agent

HELLO: Any = [{"role": "user", "content": "Hello!"}]
# One pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Sdk:
    """Alice's client of OpenAI's SDK, her own client of the service, and her agent, whose answers are scripted."""

    def __init__(self, live: Live, http: httpx.AsyncClient, client: openai.AsyncOpenAI) -> None:
        self.live, self.http, self.client = live, http, client
        self.provider: ScriptedProvider = SeeingProvider()
        self.agent: dict[str, Any] = {}

    async def ask(self, messages: Any = HELLO, **options: Any) -> Any:
        return await self.client.chat.completions.create(model=self.agent["id"], messages=messages, **options)

    async def stream(self, messages: Any = HELLO, **options: Any) -> list[ChatCompletionChunk]:
        chunks = await self.ask(messages, stream=True, stream_options={"include_usage": True}, **options)
        return [chunk async for chunk in chunks]


@asynccontextmanager
async def open_sdk(live: Live) -> AsyncGenerator[Sdk]:
    http = await live.user("alice")
    key = http.headers["authorization"].removeprefix("Bearer ")
    client = openai.AsyncOpenAI(base_url=f"{live.server.address}/v1", api_key=key)
    made = Sdk(live, http, client)
    live.container.providers.add(made.provider)
    made.agent = await make_agent(http, name="helper", provider="scripted", tools=["calculator"])
    yield made
    await client.close()


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


async def listed(sdk: Sdk) -> list[str]:
    return [each["id"] for each in (await sdk.http.get("/threads")).json()["data"]]


def shown(sdk: Sdk) -> list[tuple[str, str]]:
    """The conversation of the last request to the model: roles with texts."""
    return [
        (message.role, "".join(str(getattr(part, "text", getattr(part, "result", "call"))) for part in message.parts))
        for message in sdk.provider.requests[-1].messages
    ]
