"""`ai-agents backup` and `ai-agents restore`: the database and the files, as one archive."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from ai_agents.core.wording import counted
from app.commands.command import Command
from app.commands.opening import make_private_files, read_settings, with_database
from app.commands.terminal import Progress, note


def _add_backup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", type=Path, help="where to; .gz compresses (ai-agents-TIME.tar.gz)")
    parser.add_argument("--with-keys", action="store_true", help="also the key files, which open sealed secrets")


def _back_up(arguments: argparse.Namespace) -> None:
    from ai_agents.store import audit
    from ai_agents.store.migrate import is_usable
    from app.commands.backups import back_up, keys_left_out
    from app.serving.signals import clean_up_on_sigterm

    clean_up_on_sigterm()
    make_private_files()
    settings = read_settings()
    path = arguments.file or Path(f"ai-agents-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar.gz")
    with Progress() as progress:
        made = back_up(settings, path, progress.tell, with_keys=arguments.with_keys)
    if is_usable(settings.direct_database):
        act = audit.Act("backup", None, details={"files": made["files"]})
        with_database(settings, lambda d: d.write(lambda c: audit.record(c, act)))
    else:
        note("The audit log does not say so: the database is at an older schema.")
    print(
        f"{path}: the database and {counted(made['files'], 'file')}, {made['bytes'] / 1e6:.1f} MB before compression."
    )
    if settings.files_url is not None:
        note("Files are in a bucket, which the backup does not have: keep copies of it, too.")
    if not arguments.with_keys and (left := keys_left_out(settings)):
        names = " and ".join(str(file) for file in left)
        note(f"Not in it: {names}. Keep them in another place: without them, sealed secrets stay sealed.")


def _add_restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="a file that `ai-agents backup` has made")
    parser.add_argument("--check", action="store_true", help="only read it to its end and say whether it is whole")


def _restore(arguments: argparse.Namespace) -> None:
    import asyncio

    from app.commands.backups import check, restore
    from app.serving.signals import clean_up_on_sigterm

    clean_up_on_sigterm()
    make_private_files()
    if arguments.check:
        with Progress() as progress:
            head, count = check(arguments.file, progress.tell)
        print(
            f"{arguments.file} is whole: {head['database']}, schema {head['revision']}, version {head['version']}, "
            f"{counted(count, 'file')}, made at {head['created_at']}."
        )
        return
    with Progress() as progress:
        done = asyncio.run(restore(read_settings(), arguments.file, progress.tell))
    print(
        f"Restored: the database and {counted(done['files'], 'file')}. `ai-agents serve` goes on with the runs of then."
    )
    if done["missing"]:
        note(f"Not in the folder of files, though the database names them: {counted(done['missing'], 'file')}.")
    if done["closed"]:
        note(
            f"The encryption key of these settings does not open {counted(done['closed'], 'secret')} of the database: "
            "give the service the key of then (AI_AGENTS_ENCRYPTION_KEY, or its file) before you start it."
        )


BACKUP = Command(
    "backup",
    "Write the database and the files into one archive.",
    _back_up,
    _add_backup,
    place="database",
    details="The service goes on meanwhile; the archive has the database as it is at one moment, with all files that "
    "it names. PostgreSQL needs pg_dump, of the server's version or newer.",
    examples=("ai-agents backup", "ai-agents backup /backups/monday.tar.gz --with-keys"),
)
RESTORE = Command(
    "restore",
    "Restore a backup into an empty database and an empty folder.",
    _restore,
    _add_restore,
    place="database",
    details="The archive is read to its end before anything is written. A backup of an older version is brought to "
    "this one's schema. Runs that were under way go on when the service starts.",
    examples=("ai-agents restore ai-agents-20261130T120000Z.tar.gz", "ai-agents restore monday.tar.gz --check"),
)
