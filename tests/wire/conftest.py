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
    """A provider of all kinds that refuses what they would refuse."""
    async with FakeProviderServer() as server:
        yield server


@pytest.fixture
async def connect(fake: FakeProviderServer) -> AsyncIterator[Connect]:
    """`connect(wire, **options)` gives a provider that talks to the fake; it is closed after the test.

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
