"""`ai-agents audit`: whether the audit log holds, and all of it."""

import argparse
import sys
from typing import TYPE_CHECKING

from app.commands.command import Command, Group, WrongUse
from app.commands.opening import read_settings, require_schema, with_database

if TYPE_CHECKING:
    from ai_agents.store.database import Database


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--head", action="append", default=[], help="a batch that was noted before, as NUMBER:HASH")


def _verify(arguments: argparse.Namespace) -> None:
    """Print what holds; end with status 1 and name the first batch that does not hold."""
    from ai_agents.store.audit_chain import verify
    from app.commands.audit_lines import parse_head, tell

    try:
        heads = [parse_head(each) for each in arguments.head]
    except ValueError:
        raise WrongUse("A head is NUMBER:HASH, as the log of the service and this command say it.") from None
    settings = read_settings()
    require_schema(settings)
    found = with_database(settings, lambda database: verify(database, heads))
    if found.fault is not None:
        sys.exit(tell(found))
    print(tell(found))


def _export(_arguments: argparse.Namespace) -> None:
    from app.commands.audit_lines import export

    async def write(database: "Database") -> None:
        async for line in export(database):
            print(line)

    settings = read_settings()
    require_schema(settings)
    with_database(settings, write)


AUDIT = Group(
    "audit",
    "The audit log.",
    [
        Command(
            "verify",
            "Say whether the audit log is as it was written.",
            _verify,
            _add_verify,
            place="database",
            examples=("ai-agents audit verify", "ai-agents audit verify --head 41:9f2c…"),
            exits={1: "the log does not hold, or cannot be read"},
        ),
        Command(
            "export",
            "Print the audit log as lines of JSON, oldest first.",
            _export,
            place="database",
            examples=("ai-agents audit export > audit.jsonl",),
        ),
    ],
)
