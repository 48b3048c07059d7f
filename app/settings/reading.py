"""Reading the settings: which variable is wrong and why, and which names are read by nothing."""

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

import structlog
from pydantic import AliasChoices, ValidationError

from app.errors import CannotStart
from app.settings import Settings
from app.settings.sources import ENV_FILE, PREFIX, broken_lines, env_file, secrets_directory
from app.words import say

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")

# Names with the prefix that the examples of the docs and clients of the service read.
_OF_CLIENTS = {f"{PREFIX}URL", f"{PREFIX}KEY"}
# How other names of providers' programs begin. Most are read by those; a near miss of ours is told.
_OF_PROVIDERS = ("OPENAI", "OPEN_AI", "ANTHROPIC", "CLAUDE", "OLLAMA", "GEMINI", "GOOGLE_API")
# What other programs call the same thing, too far from our name to be found by its letters.
_OTHER_NAMES = {
    "OPENAI_API_BASE": "OPENAI_BASE_URL",
    "OPENAI_KEY": "OPENAI_API_KEY",
    "ANTHROPIC_API_URL": "ANTHROPIC_BASE_URL",
    "ANTHROPIC_KEY": "ANTHROPIC_API_KEY",
    "CLAUDE_API_KEY": "ANTHROPIC_API_KEY",
    "OLLAMA_API_BASE": "OLLAMA_HOST",
    "OLLAMA_BASE_URL": "OLLAMA_HOST",
    "OLLAMA_URL": "OLLAMA_HOST",
    "GOOGLE_API_KEY": "GEMINI_API_KEY",
    "OTEL_ENDPOINT": "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_ENDPOINT": "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OLTP_ENDPOINT": "OTEL_EXPORTER_OTLP_ENDPOINT",
}
# What the SDKs and servers of providers read beside our names, as near as it is to one of them.
_OTHERS_OWN = {"OPENAI_API_VERSION", "OPENAI_API_TYPE", "OLLAMA_HOSTS_ALLOWED", "ANTHROPIC_API_VERSION"}
# By difflib's ratio: a letter more or less, two in the wrong order.
_NEAR, _VERY_NEAR = 0.6, 0.88


def read_settings() -> Settings:
    """The settings of the environment and of `.env`. Raises `CannotStart`: a line for each variable that is wrong.

    No line repeats a value.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise CannotStart("\n".join(_lines(error))) from None
    except UnicodeDecodeError:
        raise CannotStart(f"The file {ENV_FILE} of the working directory is not a text in UTF-8.") from None
    except OSError as error:
        raise CannotStart(f"The file {ENV_FILE} of the working directory cannot be read: {error.strerror}.") from error


def variables_of(field: str) -> list[str]:
    """The environment variables that set a field, the strongest first."""
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [str(alias)] if alias else [f"{PREFIX}{field.upper()}"]


def unknown_names() -> list[str]:
    """A sentence for each variable of the environment or of `.env` that is read by nothing, but looks as if it were.

    And for each line of `.env` that sets no variable.
    """
    known = {name for field in Settings.model_fields for name in variables_of(field)}
    here, in_file = _upper(os.environ), _upper(env_file())
    found = dict.fromkeys(_suspects(here, known), "") | {
        name: f" in {ENV_FILE}" for name in _suspects(in_file, known) if name not in here
    }
    broken = [f"Line {line} of {ENV_FILE} is not read: a line is like NAME=value." for line in broken_lines()]
    return [_sentence(name, where, known) for name, where in sorted(found.items())] + broken


def warn_of_unknown_names() -> None:
    """Write these sentences to the log."""
    for sentence in unknown_names():
        log.warning(sentence)


def _upper(variables: Mapping[str, str]) -> set[str]:
    # Variables are read in either case, and an empty one counts as not set.
    return {name.upper() for name, value in variables.items() if value}


def _suspects(names: Iterable[str], known: set[str]) -> list[str]:
    return [
        name
        for name in names
        if name not in known
        and (
            (name.startswith(PREFIX) and name not in _OF_CLIENTS)
            or name in _OTHER_NAMES
            or (
                name.startswith(_OF_PROVIDERS)
                and name not in _OTHERS_OWN
                and get_close_matches(name, _of_providers(known), 1, _VERY_NEAR)
            )
        )
    ]


def _of_providers(known: set[str]) -> list[str]:
    return sorted(name for name in known if name.startswith(_OF_PROVIDERS))


def _sentence(name: str, where: str, known: set[str]) -> str:
    near = _OTHER_NAMES.get(name)
    if near is None:
        # What they all begin with says nothing about how near they are.
        prefix = PREFIX if name.startswith(PREFIX) else ""
        candidates = {
            each.removeprefix(prefix): each for each in sorted(known) if each.startswith(PREFIX) == bool(prefix)
        }
        found = get_close_matches(name.removeprefix(prefix), list(candidates), 1, _NEAR)
        near = candidates[found[0]] if found else None
    hint = "see docs/settings.md for all names" if near is None else f"did you mean {near}?"
    return f"{name}{where} is not read: {hint}"


def _lines(error: ValidationError) -> list[str]:
    lines = []
    for found in error.errors(include_input=False, include_url=False):
        where = str(found["loc"][0]) if found["loc"] else ""
        said = say(found)
        lines.append(f"{_variable(where)}: {said}" if where else said)
    return lines


def _variable(where: str) -> str:
    """What was read: of several names for a setting the variable that is set, or the file of the secrets."""
    field = next((f for f in Settings.model_fields if where == f or where in variables_of(f)), None)
    if field is None:
        return where
    names = variables_of(field)
    for variables in (_upper(os.environ), _upper(env_file())):
        for name in names:
            if name in variables:
                return name
    files = [secrets_directory() / name.lower() for name in names]
    return next((str(file) for file in files if file.is_file()), names[0])
