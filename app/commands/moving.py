"""`ai-agents export` and `ai-agents import`: agents, threads and files, out and in."""

import argparse

from app.commands.command import Command
from app.commands.opening import make_private_files, read_settings, require_schema, upgrade, with_database


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", default="-", help="where to (-, the default: standard output)")
    parser.add_argument("--user", help="only what this user owns, and the agents of these threads")
    parser.add_argument("--without-files", action="store_true", help="without the contents of files")


def _export(arguments: argparse.Namespace) -> int:
    from app.commands.exports import export_all
    from app.serving.signals import clean_up_on_sigterm

    clean_up_on_sigterm()
    make_private_files()
    settings = read_settings()
    require_schema(settings)
    return with_database(settings, lambda database: export_all(database, settings, arguments))


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="+", metavar="FILE", help="`assistants` and a file, or the file of an export")
    parser.add_argument("--user", help="who owns all of it; without it, an export's own roles are given")
    parser.add_argument("--files", help="a directory with the contents of files, named by their ids")
    parser.add_argument("--agent", help="the agent's id for threads in which no assistant of the file answered")


def _import(arguments: argparse.Namespace) -> int:
    from app.commands.exports import import_all

    make_private_files()
    settings = read_settings()
    upgrade(settings)
    return with_database(settings, lambda database: import_all(database, settings, arguments))


EXPORT = Command(
    "export",
    "Print agents, threads and files as lines of JSON.",
    _export,
    _add_export,
    place="database",
    examples=("ai-agents export all.jsonl", "ai-agents export --user ada | gzip > ada.jsonl.gz"),
)
IMPORT = Command(
    "import",
    "Import an export, or what OpenAI's Assistants left behind.",
    _import,
    _add_import,
    place="database",
    usage="ai-agents import FILE [--user USER]\n"
    "       ai-agents import assistants FILE --user USER [--files DIRECTORY] [--agent AGENT]",
    examples=(
        "ai-agents import all.jsonl",
        "ai-agents import assistants assistants.jsonl --user ada --files contents/",
    ),
    exits={1: "some things could not be imported: see standard output", 2: "wrong use, or a file that is no export"},
)
