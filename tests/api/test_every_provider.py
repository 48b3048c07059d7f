"""One conversation with tools through every provider, and one that changes its provider at each step."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.live import Live, read_all, serve, text_of
from tests.api.service import make_agent, make_thread, settings_for
from tests.fakes.provider_server import FakeProviderServer

MODELS = {
    "anthropic": "claude-sonnet-4-20250514",
    "openai": "gpt-4o",
    "ollama": "llama3.1",
    "gemini": "gemini-3-flash-preview",
    "echo": "echo",
}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Providers do not depend on the database."""
    return sqlite_url


@pytest.fixture
async def fake() -> AsyncIterator[FakeProviderServer]:
    """A server that speaks the protocols of all providers, and refuses what they refuse."""
    async with FakeProviderServer() as server:
        yield server


@pytest.fixture
async def provided(fake: FakeProviderServer, database_url: str, tmp_path: Path) -> AsyncIterator[Live]:
    """A service whose providers all call that server."""
    settings = settings_for(
        database_url,
        tmp_path,
        **fake.settings(),
    )
    async with serve(settings) as live:
        yield live


def question(provider: str) -> str:
    """The messages that make each provider call the calculator."""
    return '/tool calculator {"expression": "6*7"}' if provider == "echo" else "Please calculate 6*7"


@pytest.mark.parametrize("provider", MODELS)
async def test_a_calculation_with_every_provider(provided: Live, fake: FakeProviderServer, provider: str) -> None:
    alice = await provided.user("alice")
    agent = await make_agent(alice, provider=provider, model=MODELS[provider], tools=["calculator"])
    thread = await make_thread(alice, agent["id"])
    path = f"/threads/{thread['id']}"

    whole = await alice.post(f"{path}/messages", json={"content": question(provider)})
    assert whole.status_code == 201, whole.text
    streamed = await alice.post(f"{path}/messages", json={"content": "And now?", "stream": True})
    history = (await alice.get(f"{path}/messages?limit=100")).json()["data"]
    runs = (await alice.get(f"{path}/runs")).json()["data"]
    events = await read_all(alice, f"{path}/runs/{runs[0]['id']}/events")

    assert streamed.text.rstrip().rpartition("event: ")[2].startswith("run.completed")
    assert [message["role"] for message in history] == ["user", "assistant", "tool", "assistant", "user", "assistant"]
    assert history[2]["content"] == "42"
    assert "42" in whole.json()["content"]
    assert events[-2].data["message"]["content"] == history[-1]["content"]
    assert text_of(events) == ""
    assert {request.provider for request in fake.requests} == ({provider} - {"echo"})
    assert not [request.refused for request in fake.requests if request.refused]


async def test_a_thread_goes_on_with_another_provider_at_each_step(provided: Live, fake: FakeProviderServer) -> None:
    alice = await provided.user("alice")
    agent = await make_agent(alice, provider="echo", model="echo", tools=["calculator"])
    thread = await make_thread(alice, agent["id"])
    order = ["anthropic", "openai", "ollama", "echo", "openai", "anthropic", "ollama", "anthropic"]
    for provider in order:
        changes = {"provider": provider, "model": MODELS[provider]}
        assert (await alice.patch(f"/agents/{agent['id']}", json=changes)).status_code == 200
        answer = await alice.post(f"/threads/{thread['id']}/messages", json={"content": question(provider)})
        assert answer.status_code == 201, answer.text
    assert not [request.refused for request in fake.requests if request.refused]
    assert {request.provider for request in fake.requests} == {"anthropic", "openai", "ollama"}
    history = (await alice.get(f"/threads/{thread['id']}/messages?limit=100")).json()["data"]
    assert sum(message["role"] == "tool" for message in history) == len(order)
