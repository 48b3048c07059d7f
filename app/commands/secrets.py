"""`ai-agents secrets`: the keys and passwords of a deployment, made once."""

import argparse
import os
from pathlib import Path

from app.commands.command import Command
from app.commands.opening import make_private_files, read_settings


def _add_secrets(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, help="where the passwords go: all containers read them there")
    parser.add_argument("--postgres", type=Path, help="where PostgreSQL keeps its database, if it may be there already")


def _secrets(arguments: argparse.Namespace) -> None:
    from app import key_files
    from app.first_secrets import write_secrets

    make_private_files()
    settings = read_settings()
    written = write_secrets(arguments.directory, os.environ, database_files=arguments.postgres)
    key_files.admin_key(settings)
    key_files.encryption_keys(settings)
    for each in written:
        print(f"{'written' if each.is_new else 'kept':8}{arguments.directory / each.name}")
    where = "AI_AGENTS_ADMIN_KEY" if settings.admin_key is not None else settings.admin_key_file.absolute()
    print(f"The admin key: {where}")


SECRETS = Command(
    "secrets",
    "Write the keys and passwords that a deployment lacks.",
    _secrets,
    _add_secrets,
    details="docker-compose.yml runs it before everything else. What is there stays; POSTGRES_PASSWORD and "
    "REDIS_PASSWORD set those passwords. Prints where things are, never what they are.",
    examples=("ai-agents secrets /run/secrets --postgres /volumes/postgres",),
)
