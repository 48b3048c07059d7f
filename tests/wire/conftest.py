"""A fake provider server, and providers that talk to it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from ai_agents.providers.base import Provider
from ai_agents.providers.registry import get_provider
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.requests import provider_of

Connect = Callable[..., Provider]


@pytest.fixture
async def fake() -> AsyncIterator[FakeProviderServer]:
    """A server that acts as each provider, and refuses what the provider would refuse."""
    async with FakeProviderServer() as server:
        yield server


@pytest.fixture
async def connect(fake: FakeProviderServer) -> AsyncIterator[Connect]:
    """`connect(wire, **options)` returns a provider that talks to the fake server. It is closed after the test.

    It does not try again unless `max_retries` is given.
    """
    async with AsyncExitStack() as stack:

        def build(name: str, **options: Any) -> Provider:
            key = {} if name == "ollama" else {"api_key": "a-key"}
            defaults = {"base_url": fake.base_url(name), "max_retries": 0, **key}
            provider = get_provider(provider_of(name), **(defaults | options))
            stack.push_async_callback(provider.aclose)
            return provider

        yield build
