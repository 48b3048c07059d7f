"""OpenAI's own client and plain HTTP, for the door of Responses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from openai import AsyncOpenAI

from ai_agents.testing import ScriptedProvider
from tests.api.files import SeeingProvider
from tests.api.live import Live
from tests.api.service import make_agent
from tests.doors.openresponses import check_response, read_frames

CALCULATOR = [{"name": "calculator", "approval": "never"}]
CAREFUL = [{"name": "calculator", "approval": "always"}]


class Caller:
    """A user with an agent that gives scripted answers: its own client, and OpenAI's."""

    def __init__(self, http: httpx.AsyncClient, sdk: AsyncOpenAI, provider: ScriptedProvider, model: str) -> None:
        self.http = http
        # As users call it: with plain objects, which its types do not fit.
        self.sdk: Any = sdk
        self.provider = provider
        self.model = model

    async def post(self, **body: Any) -> httpx.Response:
        """A request for a response."""
        return await self.http.post("/v1/responses", json={"model": self.model} | body)

    async def respond(self, **body: Any) -> dict[str, Any]:
        """A response, which is what the document says."""
        answer = await self.post(**body)
        assert answer.status_code == 200, answer.text
        response: dict[str, Any] = answer.json()
        check_response(response)
        return response

    async def stream(self, **body: Any) -> list[dict[str, Any]]:
        """The frames of a streamed response, each of which is what the document says, without gaps."""
        return frames_of(await self.post(stream=True, **body))

    async def replay(self, response_id: str, **query: Any) -> list[dict[str, Any]]:
        """The frames of a response that is asked for again."""
        answer = await self.http.get(f"/v1/responses/{response_id}", params={"stream": True, **query})
        return frames_of(answer, first=query.get("starting_after", -1) + 1)

    async def get(self, response_id: str) -> dict[str, Any]:
        """A response that was made before."""
        answer = await self.http.get(f"/v1/responses/{response_id}")
        assert answer.status_code == 200, answer.text
        response: dict[str, Any] = answer.json()
        check_response(response)
        return response


def frames_of(answer: httpx.Response, *, first: int = 0) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "\nid:" not in answer.text
    frames = read_frames([answer.text])
    assert [frame["sequence_number"] for frame in frames] == list(range(first, first + len(frames)))
    assert answer.text.endswith("data: [DONE]\n\n")
    return frames


@asynccontextmanager
async def calling(live: Live, *answers: Any, user: str = "alice", **agent: Any) -> AsyncIterator[Caller]:
    http = await live.user(user)
    provider = SeeingProvider(*answers)
    live.container.providers.add(provider)
    made = await make_agent(http, provider="scripted", **agent)
    key = http.headers["authorization"].removeprefix("Bearer ")
    async with AsyncOpenAI(base_url=f"{live.server.address}/v1", api_key=key) as sdk:
        yield Caller(http, sdk, provider, made["id"])


def texts_of(response: dict[str, Any]) -> list[str]:
    return [item["content"][0]["text"] for item in response["output"] if item["type"] == "message"]
