"""Settings that may be a file: the providers and the prices of an operator, as JSON or TOML."""

import json
import os
import tomllib
from pathlib import Path
from typing import Any

from ai_agents.context.catalogue import ModelFacts, parse_facts
from ai_agents.providers.specs import PROVIDER_TYPES, ProviderSpec, parse_specs
from app.settings.sources import env_file


def read_prices(given: str) -> dict[str, ModelFacts]:
    """The facts of models in this JSON, or in the JSON or TOML file at this path. Raises `ValueError`."""
    return parse_facts(_read_json_or_file(given))


def read_providers(given: str) -> list[ProviderSpec]:
    """The providers in this JSON, or in the JSON or TOML file at this path.

    `{"env": "NAME"}` stands for an environment variable, or a line of `.env`. Raises `ValueError`.
    """
    specs = parse_specs(_read_json_or_file(given), {**env_file(), **os.environ})
    for spec in specs:
        if spec.name in PROVIDER_TYPES:
            raise ValueError(f"the name {spec.name} belongs to a built-in provider")
    return specs


def _read_json_or_file(given: str) -> Any:
    if given.lstrip().startswith(("{", "[")):
        return _parse(given, "the text", as_toml=False)
    path = Path(given)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"there is no file {path.absolute()}, and the value is no JSON") from None
    except OSError as error:
        raise ValueError(f"the file {path} cannot be read: {error.strerror}") from error
    except ValueError:
        raise ValueError(f"the file {path} is not a text in UTF-8") from None
    return _parse(text, f"the file {path}", as_toml=path.suffix == ".toml")


def _parse(text: str, what: str, *, as_toml: bool) -> Any:
    try:
        return tomllib.loads(text) if as_toml else json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{what} is no JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{what} is no TOML: {error}") from None
