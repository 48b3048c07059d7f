"""`ai-agents check`: whether everything that is configured can be reached, and is right."""

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ai_agents.core.wording import harmless
from app.commands.command import FAILED, Command
from app.commands.opening import read_settings
from app.commands.options import add_json
from app.commands.terminal import Style, note, print_json, styled

if TYPE_CHECKING:
    from app.commands.points import Point

_MARKS: Mapping[bool | None, tuple[str, Style]] = {True: ("ok", "green"), False: ("FAILED", "red"), None: ("-", "dim")}


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--without-providers", action="store_true", help="send nothing to providers of models")
    add_json(parser)


def _check(arguments: argparse.Namespace) -> int | None:
    import asyncio

    from app import logs
    from app.commands.points import Point, look_at_all
    from app.errors import CannotStart

    # What is found is told here, once.
    logs.configure("error")
    try:
        settings = read_settings(warn=False)
    except CannotStart as error:
        points = [Point("settings", False, "", str(error))]
    else:
        points = asyncio.run(look_at_all(settings, providers=not arguments.without_providers))
    if arguments.json:
        print_json([{"point": each.name, "ok": each.ok, "where": each.where, "said": each.said} for each in points])
    else:
        for each in points:
            _print(each)
    failed = sum(each.ok is False for each in points)
    if failed and not arguments.json:
        note(f"{failed} of {len(points)} points {'fails' if failed == 1 else 'fail'}.")
    return FAILED if failed else None


def _print(point: "Point") -> None:
    word, style = _MARKS[point.ok]
    mark = styled(f"{word:6}", style, sys.stdout)
    where = f"{harmless(point.where)}: " if point.where else ""
    print(f"{mark}  {harmless(point.name):22} {where}{harmless(point.said)}")


CHECK = Command(
    "check",
    "Say whether everything that is configured can be reached, and is right.",
    _check,
    _add_check,
    details="Looks, all at once and for a few seconds each, at the database and its schema, Redis and a worker, the "
    "folders and the store of files, the keys, each provider that is configured (by one smallest request, which costs "
    "a few tokens), the default model, the issuer of JWTs, and where traces are sent. It works where the settings of "
    "the service are, whether that runs or not, and changes nothing.",
    examples=("ai-agents check", "ai-agents check --without-providers --json"),
    exits={0: "everything works", 1: "something does not: each reason is on standard output"},
)
