"""Where settings come from: variables with a prefix, the file `.env`, and a directory of files."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

PREFIX = "AI_AGENTS_"
ENV_FILE = ".env"
SECRETS_DIR = f"{PREFIX}SECRETS_DIR"
DEFAULT_SECRETS_DIR = "/run/secrets"
# It warns of each broken line whenever the file is read; `broken_lines` says it once.
logging.getLogger("dotenv.main").setLevel(logging.ERROR)


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


def secrets_directory() -> Path:
    """Where files are that set what neither a variable nor `.env` sets."""
    return Path(os.environ.get(SECRETS_DIR) or env_file().get(SECRETS_DIR) or DEFAULT_SECRETS_DIR)
