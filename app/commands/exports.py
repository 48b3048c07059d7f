"""`ai-agents export`, `ai-agents import` and `ai-agents import assistants`: threads in and out as lines of JSON."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

from ai_agents.attachments.files import Attachments
from ai_agents.attachments.storage import open_blob_store
from ai_agents.core.wording import counted, harmless
from ai_agents.moving.assistants_import import AssistantsImport
from ai_agents.moving.exporting import Counts, Export
from ai_agents.moving.importing import Import
from ai_agents.moving.outcomes import Outcome, Unusable
from ai_agents.store import audit
from ai_agents.store.database import Database
from app.commands.terminal import Progress, is_terminal
from app.commands.whole_files import new_file
from app.settings import Settings

# The longest line of an export: an agent or a message is shorter.
_MAX_LINE_BYTES = 64 * 1024 * 1024
SOME_FAILED, UNUSABLE = 1, 2
# Of the kinds of records, those whose plural is not with an s.
_PLURALS = {"summary": "summaries", "feedback": "feedback"}


async def export_all(database: Database, settings: Settings, arguments: argparse.Namespace) -> int:
    """Write the export. Returns the status of the program."""
    attachments = None if arguments.without_files else await _attachments(database, settings)
    with open_output(arguments.file) as output:

        def write(line: str) -> None:
            output.write(line.encode() + b"\n")

        with Progress() as progress:
            export = Export(
                database,
                write,
                attachments=attachments,
                user_id=arguments.user,
                tell=lambda counts: progress.tell(_told(counts)),
            )
            counts = await export.run()
    await _record(database, "export", counts.of)
    print(f"Exported {_told(counts)}.", file=sys.stderr)
    return 0


async def import_all(database: Database, settings: Settings, arguments: argparse.Namespace) -> int:
    """Import a file, and print what became of each thing in it. Returns the status of the program."""
    match arguments.what:
        case ["assistants", str(name)]:
            is_export = False
        case [str(name)]:
            is_export = True
        case _:
            return _refuse("Name one file, or `assistants` and one file.")
    if not is_export and not arguments.user:
        return _refuse("Say with --user who owns what is imported.")
    if is_export and (arguments.files or arguments.agent):
        return _refuse("--files and --agent are for `import assistants`.")
    attachments = await _attachments(database, settings)
    progress = _ImportProgress()
    try:
        with _input(name) as file:
            if is_export:
                importing = Import(database, progress.tell, attachments=attachments, owner_id=arguments.user)
                outcomes = await importing.run(_lines(file))
            else:
                assistants = AssistantsImport(
                    database,
                    progress.tell,
                    user_id=arguments.user,
                    attachments=attachments,
                    contents=None if arguments.files is None else Path(arguments.files),
                    agent_id=arguments.agent,
                )
                outcomes = await assistants.run(file)
    except OSError as error:
        return _refuse(f"{name}: {error.strerror}.")
    except Unusable as error:
        return _refuse(str(error))
    finally:
        progress.line.close()
        if progress.counts:
            await _record(database, "import", progress.counts)
    told = ", ".join(f"{count} {result}" for result, count in outcomes.counts.items())
    print(f"Done: {told or 'nothing to import'}.", file=sys.stderr)
    return SOME_FAILED if outcomes.counts.get("failed") else 0


def _refuse(message: str) -> int:
    print(harmless(message), file=sys.stderr)
    return UNUSABLE


async def _attachments(database: Database, settings: Settings) -> Attachments:
    blobs = open_blob_store(settings.files, settings.files_url)
    attachments = Attachments(database, blobs, max_bytes=settings.max_file_bytes)
    await attachments.open()
    return attachments


async def _record(database: Database, action: Literal["export", "import"], counts: Mapping[str, int]) -> None:
    act = audit.Act(action, None, details=dict(counts))
    await database.write(lambda c: audit.record(c, act))


def _told(counts: Counts) -> str:
    return ", ".join(_of_kind(count, kind) for kind, count in counts.of.items()) or "nothing"


def _of_kind(count: int, kind: str) -> str:
    if kind == "files_without_content":
        return f"{counted(count, 'file')} without content"
    return counted(count, kind.replace("_", " "), _PLURALS.get(kind))


class _ImportProgress:
    """Prints what became of each thing, and tells how many there were. Counts what was imported."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.line = Progress()
        self._seen = 0

    def tell(self, outcome: Outcome) -> None:
        """One more thing."""
        print(harmless(str(outcome)))
        self._seen += 1
        if outcome.result == "imported":
            self.counts[outcome.kind] = self.counts.get(outcome.kind, 0) + 1
        if not is_terminal(sys.stdout):  # it shows the things themselves
            self.line.tell(counted(self._seen, "thing"))


@contextmanager
def open_output(name: str) -> Iterator[BinaryIO]:
    """The file of an export, or standard output (`-`)."""
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(name).resolve()
    if path.exists() and not path.is_file():  # a pipe, a device
        with path.open("wb") as file:
            yield file
        return
    with new_file(path) as file:
        yield file


@contextmanager
def _input(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    with Path(name).open("rb") as file:
        yield file


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file. Raises `Unusable` for one that no export has."""
    number = 0
    while line := file.readline(_MAX_LINE_BYTES):
        number += 1
        if len(line) == _MAX_LINE_BYTES:
            raise Unusable(f"Line {number} is too long.")
        yield line
