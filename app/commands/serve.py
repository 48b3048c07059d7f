"""`ai-agents serve`, `worker` and `migrate`: the processes of the service, and its schema."""

import argparse
import gc
import sys
import time
from typing import TYPE_CHECKING

from app.commands.command import Command, WrongUse
from app.commands.opening import make_private_files, read_settings, upgrade, with_database
from app.commands.options import port_number, process_count

if TYPE_CHECKING:
    from socket import socket

    from fastapi import FastAPI

    from app.processes.told import Told
    from app.serving.server import Server
    from app.settings import Settings

_LOOK_AGAIN_S = 2.0


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="the address to listen on (AI_AGENTS_HOST, HOST; 127.0.0.1)")
    parser.add_argument("--port", type=port_number, help="the port (AI_AGENTS_PORT, PORT; 8000); 0 takes a free one")
    parser.add_argument(
        "--workers",
        type=process_count,
        default=1,
        metavar="N",
        help="so many processes on the port, on PostgreSQL and Redis; SIGHUP restarts each in turn; 1",
    )
    parser.add_argument("--no-migrate", action="store_true", help="leave the database as it is")
    parser.add_argument(
        "--page-link",
        action="store_true",
        help="on loopback, print a link that signs an admin in to the page; at a terminal that is the default",
    )


def _serve(arguments: argparse.Namespace) -> None:
    from app.serving.signals import end_at_once_on_signals

    end_at_once_on_signals()
    gc.disable()  # until it listens: to look for garbage in what is imported would be a fifth of the start
    make_private_files()
    settings = read_settings(warn=False)

    from app.processes.told import find_told

    if (told := find_told()) is not None:
        _serve_as_child(arguments, settings, told)
        return

    from app import logs
    from app.descriptors import raise_descriptor_limit
    from app.serving.listening import listen_apart
    from app.settings import reading

    if arguments.workers > 1:
        _require_shared(settings)
        raise_descriptor_limit()
    host, port = _address(arguments, settings)
    # First of all: a port in use is the commonest reason, and what follows takes a while.
    sockets = listen_apart(host, port, arguments.workers)
    logs.configure(settings.log_level)
    reading.warn_of_unknown_names()
    if not arguments.no_migrate:
        from app.patience import Patience

        Patience(settings.direct_database).until_done(lambda: upgrade(settings))
    if arguments.workers > 1:
        _keep_processes(sockets, settings)
    app, server = _build(arguments, settings)
    server.announce = lambda address: _announce(app, settings, address, links=_prints_links(arguments))
    _stop_on_hangup(server)
    _run(app, server, sockets[0])


def _stop_on_hangup(server: "Server") -> None:
    """Stop in order when the terminal goes, or a SIGHUP comes that would restart several processes; not with nohup."""
    import signal

    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, server.handle_exit)


def _keep_processes(sockets: "list[list[socket]]", settings: "Settings") -> None:
    """Be the parent of a process for each of these lists. Ends this process."""
    from app.errors import CannotStart
    from app.processes.parent import Parent

    gc.enable()  # it has done what is done once
    try:
        parent = Parent(sockets, grace_s=settings.shutdown_grace_s)
    except OSError as error:
        raise CannotStart(f"{len(sockets)} processes (--workers) cannot be started here: {error.strerror}.") from error
    sys.exit(parent.run())


def _require_shared(settings: "Settings") -> None:
    """Raises `WrongUse` where one process is the only one that there may be."""
    from ai_agents.store.database import normalize_url

    if normalize_url(settings.database).get_backend_name() == "sqlite" or settings.redis_url is None:
        raise WrongUse(
            "Several processes (--workers) need PostgreSQL (AI_AGENTS_DATABASE_URL) and Redis (AI_AGENTS_REDIS_URL)."
        )


def _serve_as_child(arguments: argparse.Namespace, settings: "Settings", told: "Told") -> None:
    """Serve as one of several processes, whose parent has done what is done once."""
    import signal

    from app import logs
    from app.processes.child import Child
    from app.processes.siblings import Siblings
    from app.services import operations

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is the parent's
    logs.configure(settings.log_level, process=told.own)
    app, server = _build(arguments, settings)
    links = _prints_links(arguments)
    grace_s = settings.shutdown_grace_s
    child = Child(told, server, lambda address: _announce(app, settings, address, links=links), grace_s=grace_s)
    child.obey()

    async def begin(_address: str) -> None:
        state = app.state
        siblings = Siblings(told, lambda: operations.render_metrics(state.container, state.load()))
        await siblings.open()
        state.siblings = siblings
        _tune_garbage_collection()
        await child.tell_ready()

    server.announce = begin
    _run(app, server, child.sockets)


def _address(arguments: argparse.Namespace, settings: "Settings") -> tuple[str, int]:
    return arguments.host or settings.host, settings.port if arguments.port is None else arguments.port


def _prints_links(arguments: argparse.Namespace) -> bool:
    # What is printed elsewhere than at a terminal is kept as a log, which others may read.
    return bool(arguments.page_link or sys.stdout.isatty())


def _build(arguments: argparse.Namespace, settings: "Settings") -> "tuple[FastAPI, Server]":
    from app.descriptors import raise_descriptor_limit
    from app.main import create_app
    from app.serving.server import build_server

    raise_descriptor_limit()
    app = create_app(settings)
    host, port = _address(arguments, settings)
    return app, build_server(app, settings, host=host, port=port)


def _run(app: "FastAPI", server: "Server", sockets: "list[socket]") -> None:
    try:
        server.run(sockets)
    finally:
        if app.state.refusal is not None:
            sys.exit(app.state.refusal)


async def _announce(app: "FastAPI", settings: "Settings", address: str, *, links: bool) -> None:
    """Print the addresses of the service, and where its admin key is."""
    from app.page_links import make_page_link

    _tune_garbage_collection()
    page = await make_page_link(app.state.container, address) if links else f"{address}/"
    where = "AI_AGENTS_ADMIN_KEY" if settings.admin_key is not None else str(settings.admin_key_file.absolute())
    pages = f"  page       {page}\n  docs       {address}/docs"
    print(f"AI Agents on {address}\n{pages}\n  admin key  {where}", flush=True)


def _tune_garbage_collection() -> None:
    """Exclude the objects of the start from garbage collection, and collect rarely.

    A turn makes thousands of objects and almost no reference cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


def _add_worker(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="only say whether a worker of this machine is alive")


def _worker(arguments: argparse.Namespace) -> None:
    if arguments.check:
        _check_worker()
        return
    from app.serving.signals import end_at_once_on_signals

    end_at_once_on_signals()
    make_private_files()
    from worker.main import run

    run()


def _check_worker() -> None:
    """End with status 1 unless a worker of this machine has told the database lately that it is alive.

    While the database is away nothing is known, and to start the worker again would not help: that is no failure.
    The worker itself takes no commands: whatever can write to Redis could give them.
    """
    from ai_agents.core.exceptions import DatabaseUnavailable
    from ai_agents.store.database import normalize_url
    from ai_agents.store.opening import may_pass
    from ai_agents.store.processes import is_worker_alive, worker_prefix

    settings = read_settings()
    try:
        is_alive = with_database(settings, lambda d: d.read(lambda c: is_worker_alive(c, worker_prefix())))
    except DatabaseUnavailable as error:
        if not may_pass(error, normalize_url(settings.direct_database)):
            raise
        print(f"{error} A worker waits for it.", file=sys.stderr)
        return
    if not is_alive:
        sys.exit("No worker of this machine is alive.")


def _add_migrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wait", action="store_true", help="change nothing: wait until another process has done it")


def _migrate(arguments: argparse.Namespace) -> None:
    from app.serving.signals import end_at_once_on_signals

    end_at_once_on_signals()
    make_private_files()
    settings = read_settings()
    if arguments.wait:
        _wait_for_schema(settings)
    else:
        _migrate_now(settings)
    from ai_agents.store.migrate import is_current

    if is_current(settings.direct_database):
        print("The database is up to date.")
    else:
        print("A newer version has migrated the database. This one works with it, and leaves it as it is.")


def _migrate_now(settings: "Settings") -> None:
    from app.patience import PATIENCE_S, Patience

    def say(reason: str) -> None:
        print(f"{reason} Waiting for it, {PATIENCE_S:g} s at most.", file=sys.stderr, flush=True)

    Patience(settings.direct_database, say).until_done(lambda: upgrade(settings))


def _wait_for_schema(settings: "Settings") -> None:
    """Wait for the database, and until it is at this version's schema, or at a newer one.

    Raises `DatabaseUnavailable` for what no wait would change.
    """
    from ai_agents.core.exceptions import DatabaseUnavailable
    from ai_agents.store.database import normalize_url
    from ai_agents.store.migrate import is_usable
    from ai_agents.store.opening import may_pass

    url = normalize_url(settings.direct_database)
    while True:
        try:
            if is_usable(settings.direct_database):
                return
        except DatabaseUnavailable as error:
            if url.get_backend_name() == "postgresql" and not may_pass(error, url):
                raise
            print(error, file=sys.stderr, flush=True)
        time.sleep(_LOOK_AGAIN_S)


SERVE = Command(
    "serve",
    "Run the service in the foreground.",
    _serve,
    _add_serve,
    details="Migrates the database first, makes the keys that are missing, and prints its address once it listens.",
    examples=("ai-agents serve", "ai-agents serve --host 0.0.0.0 --port 9000", "ai-agents serve --workers 4"),
)
WORKER = Command(
    "worker",
    "Run a worker for background jobs.",
    _worker,
    _add_worker,
    details="Needs Redis (AI_AGENTS_REDIS_URL). Without Redis the service does the jobs itself.",
    examples=("ai-agents worker", "ai-agents worker --check"),
)
MIGRATE = Command(
    "migrate",
    "Bring the database to this version's schema.",
    _migrate,
    _add_migrate,
    place="database",
    details="`serve` does so at its start. It may run while others do, and changes nothing where nothing is missing.",
    examples=("ai-agents migrate", "ai-agents migrate --wait"),
)
