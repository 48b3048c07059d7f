"""Providers by name, and the pool of shared instances."""

import subprocess
import sys
from pathlib import Path

import pytest

from ai_agents.core.exceptions import ProviderNotConfigured
from ai_agents.core.types import ModelMessage, ModelRequest, TextPart
from ai_agents.providers.anthropic import AnthropicProvider
from ai_agents.providers.echo import EchoProvider
from ai_agents.providers.registry import ProviderPool, get_provider, list_providers, register_provider

HELLO = ModelRequest(model="m", messages=(ModelMessage("user", (TextPart("Hello"),)),))


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_the_built_in_providers_are_known_by_name() -> None:
    assert {"anthropic", "echo", "ollama", "openai"} <= set(list_providers())
    provider = get_provider("anthropic", api_key="key", model="claude-sonnet-5")
    assert isinstance(provider, AnthropicProvider)
    assert provider.model == "claude-sonnet-5"


def test_the_error_for_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ProviderNotConfigured, match="anthropic, echo, gemini, ollama, openai"):
        get_provider("skynet")


def test_an_unknown_option_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="modle"):
        get_provider("echo", modle="echo")


@pytest.mark.usefixtures("own_registries")
def test_a_registered_provider_may_replace_a_built_in_one() -> None:
    class Louder(EchoProvider):
        name = "louder"

    register_provider("louder", Louder)
    register_provider("echo", Louder)

    assert isinstance(get_provider("louder", delay_s=0.0), Louder)
    assert isinstance(get_provider("echo"), Louder)
    assert "louder" in list_providers()


@pytest.mark.parametrize("name", ["anthropic", "openai"])
async def test_a_missing_key_is_reported_at_the_first_use(name: str) -> None:
    provider = get_provider(name)

    with pytest.raises(ProviderNotConfigured, match=rf"{name} has no API key: pass api_key or set"):
        await provider.complete(HELLO)


@pytest.mark.parametrize("name", ["anthropic", "openai", "ollama"])
async def test_a_missing_model_is_reported_at_the_first_use(name: str) -> None:
    provider = get_provider(name, api_key="key")

    with pytest.raises(ProviderNotConfigured, match="needs the name of a model"):
        await provider.complete(ModelRequest(model="", messages=HELLO.messages))


def test_neither_the_registry_nor_a_provider_loads_an_sdk() -> None:
    program = """
import sys
from ai_agents.providers.registry import ProviderPool, get_provider
for name in ("anthropic", "openai", "ollama", "echo"):
    get_provider(name)
ProviderPool({"anthropic": {"api_key": "key"}}).get("anthropic")
heavy = {"anthropic", "openai", "httpx", "httpx2", "aiohttp", "pydantic"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


async def test_a_pool_shares_one_instance() -> None:
    pool = ProviderPool({"anthropic": {"api_key": "key"}})

    assert pool.get("anthropic") is pool.get("anthropic")
    assert pool.get("echo") is pool.get("echo")
    await pool.aclose()


def test_a_pool_does_not_look_for_keys_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a key that nobody passed")

    with pytest.raises(ProviderNotConfigured, match="Neither OPENAI_API_KEY nor OPENAI_BASE_URL is set"):
        ProviderPool({"openai": {"api_key": None}}).get("openai")


def test_a_pool_lists_what_can_be_used_and_the_default_models() -> None:
    pool = ProviderPool(
        {"anthropic": {"api_key": ""}, "openai": {"base_url": "http://127.0.0.1:1/v1"}, "ollama": {"model": "qwen3"}},
        default=("openai", "gpt-4o"),
    )

    found = {status.name: (status.configured, status.default_model) for status in pool.configured()}

    assert found["anthropic"] == (False, None)
    assert found["openai"] == (True, "gpt-4o")
    assert found["ollama"] == (True, "qwen3")
    assert found["echo"] == (True, "echo")


async def test_a_pool_closes_an_added_instance_with_the_others() -> None:
    closed = []

    class Own(EchoProvider):
        name = "own"

        async def aclose(self) -> None:
            closed.append(self.name)

    pool = ProviderPool()
    own = Own()
    pool.add(own)

    assert pool.get("own") is own
    assert "own" in [status.name for status in pool.configured()]
    await pool.aclose()
    assert closed == ["own"]


async def test_preparing_a_provider_that_is_not_configured_does_nothing() -> None:
    pool = ProviderPool(default=("anthropic", None))

    await pool.prepare()
    await pool.prepare("echo")
    with pytest.raises(ProviderNotConfigured):
        pool.get("anthropic")
