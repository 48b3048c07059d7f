"""Providers as admins describe them, in files and requests."""

from typing import Any

import pytest

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.providers.presets import PRESETS
from ai_agents.providers.quirks import Quirks
from ai_agents.providers.specs import MADE_TYPES, PROVIDER_TYPES, check_base_url, parse_spec, parse_specs

SECRET = "sk-of-the-environment"


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_makes_a_provider_with_a_name_and_a_key(name: str) -> None:
    address = {"base_url": "https://mine.openai.azure.com/openai/v1"} if name == "azure" else {}

    spec = parse_spec({"name": name, "preset": name, "api_key": "key"} | address)

    assert spec.type in MADE_TYPES
    assert check_base_url(spec.base_url) == spec.base_url
    assert spec.missing is None
    assert spec.quirks == PRESETS[name].quirks


def test_what_is_given_wins_over_a_preset() -> None:
    quirks = {"finish_reasons": {"EOS": "length", "cut": "error"}, "tools": False}

    spec = parse_spec({"name": "t", "preset": "together", "base_url": "http://10.0.0.1/v1/", "quirks": quirks})

    assert spec.base_url == "http://10.0.0.1/v1"
    assert spec.quirks == Quirks(finish_reasons={"eos": "length", "cut": "error"}, tools=False)
    assert spec.given == Quirks.from_dict(quirks)


def test_a_public_server_without_a_key_says_what_it_lacks() -> None:
    def missing(**given: Any) -> str | None:
        return parse_spec({"name": "mine", **given}).missing

    assert missing(preset="groq") == "mine has no api_key."
    assert missing(type="anthropic") == "mine has no api_key."
    assert missing(preset="groq", headers={"authorization": "Basic x"}) is None
    assert missing(type="anthropic", base_url="http://10.0.0.1") is None
    assert missing(preset="vllm") is None
    assert missing(type="ollama") is None


def test_a_secret_of_a_spec_is_not_part_of_its_text() -> None:
    spec = parse_spec({"name": "mine", "type": "openai", "api_key": SECRET, "headers": {"x-key": SECRET}})

    assert SECRET not in repr(spec)


def test_prices_are_those_of_the_server_behind_the_name() -> None:
    def listed(**given: Any) -> str | None:
        return parse_spec({"name": "mine", **given}).listed_as

    assert listed(type="anthropic") == "anthropic"
    assert listed(preset="groq") == "groq"
    assert listed(preset="xai") == "x-ai"
    assert listed(preset="azure", base_url="https://mine.openai.azure.com/openai/v1") == "azure"
    assert listed(type="ollama", base_url="http://10.0.0.1:11434") == "ollama"
    assert listed(type="openai", base_url="http://10.0.0.1/v1") is None
    assert listed(preset="groq", base_url="http://10.0.0.1/v1") is None


def test_secrets_of_a_file_may_be_variables_of_the_environment() -> None:
    entries = [
        {"name": "groq", "preset": "groq", "api_key": {"env": "GROQ_API_KEY"}},
        {"name": "house", "type": "openai", "base_url": "http://h/v1", "headers": {"x-a": {"env": "A"}, "x-b": "b"}},
    ]

    for given in (entries, {"providers": entries}):
        groq, house = parse_specs(given, {"GROQ_API_KEY": SECRET, "A": "a"})

        assert (groq.api_key, groq.source, groq.missing) == (SECRET, "file", None)
        assert house.headers == {"x-a": "a", "x-b": "b"}
    groq, house = parse_specs(entries, {"GROQ_API_KEY": ""})
    assert groq.missing == "GROQ_API_KEY is not set."
    assert house.missing == "A is not set."


@pytest.mark.parametrize(
    "given, told",
    [
        ("text", "a list of providers"),
        ({"groq": {}}, "a list of providers"),
        (["groq"], "a list of providers"),
        ([{"name": "groq"}], r"provider 1 \(groq\): type: A provider needs a type or a preset"),
        ([{"name": "a", "preset": "vllm", "apikey": "x"}], "apikey: A provider has name, type"),
        ([{"name": "a", "preset": "vllm", "api_key": {"env": "A", "file": "b"}}], "api_key: A secret is a text, or"),
        ([{"name": "a", "preset": "vllm", "api_key": 7}], "api_key: A key is visible ASCII"),
        ([{"name": "a", "preset": "vllm", "headers": []}, 7], "a list of providers"),
        ([{"name": "a", "preset": "vllm", "headers": [1]}], "headers: Headers are an object of texts"),
        ([{"name": "a", "preset": "vllm", "quirks": [1]}], "quirks: Quirks are an object"),
        ([{"name": "a", "preset": "vllm"}, {"name": "a", "preset": "lmstudio"}], "two providers have the same name"),
    ],
)
def test_a_mistake_in_a_file_names_the_provider_and_the_field(given: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_specs(given, {})


def test_a_mistake_never_repeats_a_secret() -> None:
    for wrong in ({"api_key": f"{SECRET}\n"}, {"headers": {"x-key": f"{SECRET}\r"}}):
        with pytest.raises(InvalidRequest) as raised:
            parse_spec({"name": "mine", "type": "openai", **wrong})
        assert SECRET not in str(raised.value)


def test_every_built_in_provider_says_what_it_needs() -> None:
    for kind in PROVIDER_TYPES.values():
        assert set(kind.needs) <= set(kind.settings)
        assert kind.default_model or kind.only_model
