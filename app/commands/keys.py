"""`ai-agents keys`: API keys."""

import argparse
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from app.commands.command import Command, Group, WrongUse
from app.commands.opening import make_private_files, read_settings, require_schema, upgrade, with_database
from app.commands.options import add_json, seconds_of
from app.commands.terminal import print_json, print_listed

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ai_agents.core.key_rows import Key, NewKey
    from ai_agents.store.database import Database

_COLUMNS = ("id", "user_id", "name", "prefix", "admin", "created_at", "expires_at")
# The same as in the API.
_MOST_GRACE_S = 604_800


def _add_create(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", required=True, help="whose key it is")
    parser.add_argument("--name", default="", help="what it is for")
    parser.add_argument(
        "--expires-in", type=seconds_of, metavar="TIME", help="when it ends, as 90d, 12h or 30m; by default never"
    )
    parser.add_argument("--admin", action="store_true", help="the key may do everything")
    add_json(parser)


def _create(arguments: argparse.Namespace) -> None:
    from pydantic import ValidationError

    from ai_agents.core.ids import format_time
    from ai_agents.store import audit, keys
    from app.problems import validation_errors
    from app.schemas.access import CreateKey

    make_private_files()
    settings = read_settings()
    ends = None
    try:
        if arguments.expires_in is not None:
            ends = format_time(datetime.now(UTC) + timedelta(seconds=arguments.expires_in))
        # The same rules as in the API.
        CreateKey(user_id=arguments.user, name=arguments.name, expires_at=ends)
    except ValidationError as error:
        first = validation_errors(error.errors())[0]
        option = {"user_id": "--user", "name": "--name", "expires_at": "--expires-in"}[first["loc"][0]]
        sys.exit(f"This key cannot be made: {option} {first['msg'].removeprefix('String ')}.")
    except OverflowError:
        sys.exit("This key cannot be made: --expires-in is too far away.")
    upgrade(settings)

    def make(connection: "Connection") -> "NewKey":
        made = keys.create_key(connection, arguments.user, arguments.name, expires_at=ends, admin=arguments.admin)
        facts = {"admin": made["admin"], "expires": ends is not None}
        act = audit.Act("key.create", None, "key", made["id"], subject_id=arguments.user, details=facts)
        audit.record(connection, act)
        return made

    made = with_database(settings, lambda database: database.write(make))
    if arguments.json:
        print_json(made)
    else:
        print(made["key"])


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", help="only keys of this user")
    add_json(parser)


def _list(arguments: argparse.Namespace) -> None:
    settings = read_settings()
    require_schema(settings)
    found = with_database(settings, lambda database: _all_keys(database, arguments.user))
    print_listed(
        found,
        _COLUMNS,
        as_json=arguments.json,
        empty="There are no keys. `ai-agents keys create --user NAME` makes one.",
    )


async def _all_keys(database: "Database", user_id: str | None) -> "list[Key]":
    from ai_agents.store.keys import KeyStore

    store, found = KeyStore(database), list["Key"]()
    after: str | None = None
    while True:
        page = await store.list(user_id, limit=100, after=after)
        found += page["data"]
        after = page["next"]
        if after is None:
            return found


def _add_delete(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", nargs="+", help="their ids, as `keys list` shows them")


def _delete(arguments: argparse.Namespace) -> None:
    from ai_agents.store import audit, keys

    def delete(connection: "Connection") -> None:
        for key_id in arguments.key:
            gone = keys.delete_key(connection, key_id)
            facts = {"admin": gone["admin"]}
            act = audit.Act("key.delete", None, "key", key_id, subject_id=gone["user_id"], details=facts)
            audit.record(connection, act)

    settings = read_settings()
    require_schema(settings)
    with_database(settings, lambda database: database.write(delete, long=True))
    print(f"{len(arguments.key)} deleted, with the keys and tokens that they made.")


def _add_rotate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", help="its id, as `keys list` shows it")
    parser.add_argument(
        "--grace",
        type=seconds_of,
        default=0,
        metavar="TIME",
        help="how long the former secret is valid, at most 7d; 0s",
    )
    add_json(parser)


def _rotate(arguments: argparse.Namespace) -> None:
    from ai_agents.store import audit, keys

    if arguments.grace > _MOST_GRACE_S:
        raise WrongUse("--grace is at most 7d.")

    def rotate(connection: "Connection") -> "NewKey":
        made = keys.rotate_key(connection, arguments.key, grace_s=arguments.grace)
        facts = {"admin": made["admin"], "grace_s": arguments.grace}
        act = audit.Act("key.rotate", None, "key", made["id"], subject_id=made["user_id"], details=facts)
        audit.record(connection, act)
        return made

    settings = read_settings()
    require_schema(settings)
    made = with_database(settings, lambda database: database.write(rotate))
    if arguments.json:
        print_json(made)
    else:
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
            details="The key is shown only now: the database has its hash.",
            examples=(
                "ai-agents keys create --user ada --name laptop --expires-in 90d",
                "ai-agents keys create --user ops --admin",
            ),
        ),
        Command(
            "list",
            "List API keys, newest first, without their secrets.",
            _list,
            _add_list,
            place="database",
            examples=("ai-agents keys list", "ai-agents keys list --user ada --json"),
        ),
        Command(
            "delete",
            "Delete API keys, which are refused from now on.",
            _delete,
            _add_delete,
            place="database",
            details="Keys and tokens that they made end with them. All of them are deleted, or none.",
            examples=("ai-agents keys delete 01a206ba-da91-7460-b9a9-ac8706ae2953",),
        ),
        Command(
            "rotate",
            "Give an API key a new secret and print it.",
            _rotate,
            _add_rotate,
            place="database",
            examples=("ai-agents keys rotate 01a206ba-da91-7460-b9a9-ac8706ae2953 --grace 1h",),
        ),
    ],
)
