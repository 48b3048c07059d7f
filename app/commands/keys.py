"""`ai-agents keys`: API keys."""

import argparse
import sys
from typing import TYPE_CHECKING

from app.commands.command import Command, Group
from app.commands.opening import make_private_files, read_settings, upgrade, with_database

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ai_agents.core.key_rows import NewKey


def _add_create(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", required=True, help="whose key it is")
    parser.add_argument("--name", default="", help="what it is for")
    parser.add_argument("--admin", action="store_true", help="the key may do everything")


def _create(arguments: argparse.Namespace) -> None:
    from pydantic import ValidationError

    from ai_agents.store import audit, keys
    from app.schemas.access import CreateKey

    make_private_files()
    settings = read_settings()
    try:
        # The same rules for names as in the API.
        CreateKey(user_id=arguments.user, name=arguments.name)
    except ValidationError as error:
        sys.exit(f"This key cannot be made: {error.errors()[0]['msg'].removeprefix('Value error, ')}.")
    upgrade(settings)

    def make(connection: "Connection") -> "NewKey":
        made = keys.create_key(connection, arguments.user, arguments.name, admin=arguments.admin)
        facts = {"admin": made["admin"], "expires": False}
        act = audit.Act("key.create", None, "key", made["id"], subject_id=arguments.user, details=facts)
        audit.record(connection, act)
        return made

    made = with_database(settings, lambda database: database.write(make))
    print(made["key"])


KEYS = Group(
    "keys",
    "API keys of users.",
    [
        Command(
            "create",
            "Make an API key and print it.",
            _create,
            _add_create,
            place="database",
            examples=("ai-agents keys create --user ada --name laptop", "ai-agents keys create --user ops --admin"),
        ),
    ],
)
