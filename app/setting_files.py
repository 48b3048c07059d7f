"""Settings that may be a file: the providers and the prices of an operator, as JSON or TOML."""

import json
import logging
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from ai_agents.context.catalogue import ModelFacts, parse_facts
from ai_agents.providers.specs import PROVIDER_TYPES, ProviderSpec, parse_specs

ENV_FILE = ".env"
# It warns of each broken line whenever the file is read; `broken_lines` says it once.
logging.getLogger("dotenv.main").setLevel(logging.ERROR)


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


def env_file() -> Mapping[str, str]:
    """The variables of the file `.env` in the working directory. One that cannot be read has none."""
    try:
        return {name: value for name, value in dotenv_values(ENV_FILE).items() if value is not None}
    except (OSError, UnicodeDecodeError):
        return {}


def broken_lines() -> list[int]:
    """The numbers of the lines of `.env` that are neither a variable nor a comment."""
    try:
        with Path(ENV_FILE).open(encoding="utf-8") as file:
            return [each.original.line for each in parse_stream(file) if each.error]
    except (OSError, UnicodeDecodeError):
        return []


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
