"""What a command of `ai-agents` is, and how one is read from the command line."""

import argparse
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

PROGRAM = "ai-agents"
DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
_WIDTH = 100


class CommandFailed(Exception):
    """What a command could not do. The message is for the person at the terminal."""

    code = FAILED


class WrongUse(CommandFailed):
    """Arguments that do not go together."""

    code = WRONG_USE


# Where a command does its work.
Place = Literal["service", "database", "here"]
_PLACES: dict[Place, str] = {
    "service": "Talks to a running service over HTTP: its address is --url, and its key --key.",
    "database": "Works on the database and the files of the settings, whether the service runs or not.",
    "here": "",
}
_EXITS = {DONE: "done", FAILED: "failed, with the reason on standard error", WRONG_USE: "wrong use"}


def sentence_of_os(error: OSError) -> str:
    """What a file or an address has done wrong."""
    where = "" if error.filename is None else f"{error.filename}: "
    return f"{where}{error.strerror or error}."


def _no_arguments(_parser: argparse.ArgumentParser) -> None:
    """A command without arguments."""


@dataclass(frozen=True)
class Command:
    """One command. `run` gets its arguments and returns the exit code; None is `DONE`.

    `examples` are lines of a shell; `exits` says what exit codes mean where that is not the usual.
    """

    name: str
    summary: str
    run: Callable[[argparse.Namespace], int | None]
    arguments: Callable[[argparse.ArgumentParser], None] = _no_arguments
    place: Place = "here"
    details: str = ""
    examples: Sequence[str] = ()
    usage: str | None = None
    exits: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Commands that begin with the same word."""

    name: str
    summary: str
    commands: Sequence[Command]


def build_parser(commands: Sequence[Command | Group], *, description: str) -> argparse.ArgumentParser:
    """A parser whose result has `parser`, that of the command, and `run`, unless the command is not complete."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description=description, formatter_class=_Formatter, allow_abbrev=False
    )
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="print the version")
    parser.set_defaults(parser=parser)
    _add(parser, commands)
    return parser


def describe(command: Command) -> str:
    """What the help of a command says before its arguments."""
    return "\n\n".join(filter(None, (command.summary, command.details, _PLACES[command.place])))


def exits_of(command: Command) -> dict[int, str]:
    """What each exit code of a command means."""
    return {**_EXITS, **command.exits}


def _add(parser: argparse.ArgumentParser, commands: Sequence[Command | Group]) -> None:
    listed = parser.add_subparsers(metavar="command", title="commands", prog=parser.prog)
    for each in commands:
        text = each.summary if isinstance(each, Group) else describe(each)
        below = listed.add_parser(
            each.name,
            help=each.summary.removesuffix("."),
            description=text,
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        if isinstance(each, Group):
            below.set_defaults(parser=below)
            _add(below, each.commands)
        else:
            below.usage = each.usage
            below.epilog = _epilog(each)
            each.arguments(below)
            below.set_defaults(run=each.run, parser=below)


def _epilog(command: Command) -> str:
    parts = []
    if command.examples:
        parts.append("examples:\n" + textwrap.indent("\n".join(command.examples), "  "))
    codes = [f"{code:<4}{meaning}" for code, meaning in exits_of(command).items()]
    parts.append("exit codes:\n" + textwrap.indent("\n".join(codes), "  "))
    return "\n\n".join(parts)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Leaves examples as they are; wraps sentences at the same width on every terminal, so that docs can show them."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=_WIDTH)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Wrap each paragraph that is not indented and is no list."""
        paragraphs = [
            each if "\n" in each else textwrap.fill(each, width, initial_indent=indent, subsequent_indent=indent)
            for each in text.split("\n\n")
        ]
        return "\n\n".join(paragraphs)


class _ShowVersion(argparse.Action):
    """Looks the version up only where it is asked for: that takes longer than the rest of the start."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"{PROGRAM} {version(PROGRAM)}")
        parser.exit()
