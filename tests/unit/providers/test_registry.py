"""Providers by name, and the pool of shared instances."""

import subprocess
import sys
from pathlib import Path

import pytest

from ai_agents.context.catalogue import ModelCatalogue
from ai_agents.core.exceptions import InvalidRequest, ProviderNotConfigured
from ai_agents.core.types import ModelMessage, ModelRequest, TextPart
from ai_agents.providers.anthropic import AnthropicProvider
from ai_agents.providers.echo import EchoProvider
from ai_agents.providers.http_provider import HTTPProvider
from ai_agents.providers.quirks import Quirks
from ai_agents.providers.registry import ProviderPool, get_provider, list_providers, register_provider
from ai_agents.providers.specs import ProviderSpec, parse_spec, parse_specs

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


@pytest.mark.parametrize("key", ["a-key\n", "schlüssel", "a\x00key"])
@pytest.mark.parametrize("name", ["anthropic", "openai", "gemini", "ollama"])
async def test_a_key_that_no_header_can_carry_is_told_without_the_key(name: str, key: str) -> None:
    provider = get_provider(name, api_key=key, base_url="http://127.0.0.1:9/v1")

    with pytest.raises(ProviderNotConfigured, match="not visible ASCII, or has a line break") as refused:
        await provider.complete(HELLO)
    assert key not in str(refused.value)


@pytest.mark.parametrize("name", ["anthropic", "openai", "ollama"])
async def test_a_missing_model_is_reported_at_the_first_use(name: str) -> None:
    provider = get_provider(name, api_key="key")

    with pytest.raises(ProviderNotConfigured, match="needs the name of a model"):
        await provider.complete(ModelRequest(model="", messages=HELLO.messages))


def test_neither_the_registry_nor_a_provider_loads_an_sdk() -> None:
    program = """
import sys
from ai_agents.providers.http_provider import HTTPProvider
from ai_agents.providers.quirks import Quirks
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


def house(**changes: object) -> ProviderSpec:
    return parse_spec({"name": "house", "preset": "vllm", "default_model": "m", **changes}, version=("2026", 1))


async def test_a_pool_gives_what_was_made_last_under_a_name() -> None:
    pool = ProviderPool(specs=[parse_specs([{"name": "file", "preset": "lmstudio"}], {})[0]])
    assert await pool.replace_made([house()]) == ["house"]
    first = pool.get("house")

    assert await pool.replace_made([house()]) == []
    assert pool.get("house") is first
    assert await pool.replace_made([house(quirks={"tools": False})]) == ["house"]
    second = pool.get("house")
    assert second is not first
    assert (second.name, second.model) == ("house", "m")
    assert [status.name for status in pool.configured()] == [
        "anthropic", "echo", "file", "gemini", "house", "ollama", "openai",
    ]  # fmt: skip
    assert await pool.replace_made([]) == ["house"]
    with pytest.raises(ProviderNotConfigured, match="There is no provider house here"):
        pool.get("house")
    await pool.aclose()


async def test_a_name_that_is_given_elsewhere_stays_what_it_is_there() -> None:
    of_file = parse_specs([{"name": "house", "preset": "lmstudio"}], {})
    pool = ProviderPool(specs=of_file)

    await pool.replace_made([house()])

    status = pool.find("house")
    assert status is not None
    assert (status.source, status.base_url) == ("file", "http://localhost:1234/v1")
    with pytest.raises(InvalidRequest, match="belongs to a built-in provider"):
        ProviderPool(specs=parse_specs([{"name": "echo", "preset": "vllm"}], {}))


async def test_what_is_learned_is_told_of_and_taught_to_later_instances() -> None:
    told = []
    pool = ProviderPool()
    pool.on_learn = lambda *learned: told.append(learned)
    await pool.replace_made([house()])
    pool.take_learned({"house": {"m": Quirks(stop=False)}})
    provider = pool.get("house")
    assert isinstance(provider, HTTPProvider)

    provider.learned.learn("m", Quirks(sampling=False))

    both = Quirks(stop=False, sampling=False)
    assert told == [("house", "m", both)]
    assert provider.learned.get("m") == both
    assert pool.learned("house") == {"m": both}
    pool.take_learned({"house": {"n": Quirks(tools=False)}})
    assert provider.learned.get("n") == Quirks(tools=False)


async def test_windows_are_those_that_an_admin_gave() -> None:
    pool = ProviderPool()
    await pool.replace_made([house(quirks={"context_window": 4096}), parse_spec({"name": "eu", "type": "anthropic"})])

    assert pool.window("house", "m") == 4096
    assert pool.listed_as("eu") == "anthropic"
    assert pool.listed_as("gemini") == "google"
    assert pool.listed_as("house") == "house"
    catalogue = ModelCatalogue(servers=pool)
    assert catalogue.window("house", "m") == 4096
    assert catalogue.window("eu", "claude-instant-1") == ModelCatalogue().window("anthropic", "claude-instant-1")
