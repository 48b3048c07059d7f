"""The command line: `ai-agents serve`, `worker`, `migrate`, `keys create`, `jobs list`, `jobs retry`,
`audit verify`, `audit export`, `export`, `import`, `chat`.

Each command imports what it needs when it runs, so that every command starts quickly.
"""

import argparse
import gc
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ai_agents.core.key_rows import NewKey
    from ai_agents.core.rows import Job
    from ai_agents.store.database import Database
    from app.settings import Settings

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command."""
    parsed = _parser().parse_args(arguments)
    try:
        parsed.run(parsed)
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ai-agents", description="Agents on any provider, as a service.")
    commands = parser.add_subparsers(required=True, metavar="command")

    serve = commands.add_parser("serve", help="run the service in the foreground")
    serve.add_argument("--host", help="the address to listen on (AI_AGENTS_HOST, HOST; 127.0.0.1)")
    serve.add_argument("--port", type=int, help="the port (AI_AGENTS_PORT, PORT; 8000); 0 takes a free one")
    serve.add_argument("--no-migrate", action="store_true", help="leave the database as it is")
    serve.set_defaults(run=_serve)

    worker = commands.add_parser("worker", help="run a worker for background jobs (needs Redis)")
    worker.add_argument("--check", action="store_true", help="only say whether a worker of this machine is alive")
    worker.set_defaults(run=_worker)

    migrate = commands.add_parser("migrate", help="bring the database to this version's schema")
    migrate.set_defaults(run=_migrate)

    keys = commands.add_parser("keys", help="API keys").add_subparsers(required=True, metavar="command")
    create = keys.add_parser("create", help="make an API key and print it")
    create.add_argument("--user", required=True, help="whose key it is")
    create.add_argument("--name", default="", help="what it is for")
    create.add_argument("--admin", action="store_true", help="the key may do everything")
    create.set_defaults(run=_create_key)

    jobs = commands.add_parser("jobs", help="background jobs").add_subparsers(required=True, metavar="command")
    listing = jobs.add_parser("list", help="jobs that failed or wait, and why")
    listing.set_defaults(run=_list_jobs)
    again = jobs.add_parser("retry", help="start failed jobs again")
    again.add_argument("job", nargs="*", help="their ids; without any, all failed jobs")
    again.set_defaults(run=_retry_jobs)

    audit = commands.add_parser("audit", help="the audit log").add_subparsers(required=True, metavar="command")
    verify = audit.add_parser("verify", help="say whether the audit log is as it was written")
    verify.add_argument("--head", action="append", default=[], help="a batch that was noted before, as NUMBER:HASH")
    verify.set_defaults(run=_verify_audit)
    export = audit.add_parser("export", help="print the audit log as lines of JSON, oldest first")
    export.set_defaults(run=_export_audit)

    _add_moving(commands)

    chat = commands.add_parser("chat", help="talk to an agent of a running service")
    chat.add_argument("--url", help="where the service is (http://127.0.0.1:8000)")
    chat.add_argument("--key", help="an API key (the admin key of this machine's service)")
    chat.add_argument("--agent", help="an agent's id; without one, an agent `assistant` is made or used")
    chat.add_argument("--thread", help="a thread's id, to go on with it")
    chat.set_defaults(run=_chat)
    return parser


def _add_moving(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    export = commands.add_parser("export", help="print agents, threads and files as lines of JSON")
    export.add_argument("file", nargs="?", default="-", help="where to (-, the default: standard output)")
    export.add_argument("--user", help="only what this user owns, and the agents of these threads")
    export.add_argument("--without-files", action="store_true", help="without the contents of files")
    export.set_defaults(run=_export)
    importing = commands.add_parser(
        "import",
        help="import an export, or what OpenAI's Assistants left behind",
        usage="ai-agents import FILE [--user USER]\n"
        "       ai-agents import assistants FILE --user USER [--files DIRECTORY] [--agent AGENT]",
    )
    importing.add_argument("what", nargs="+", metavar="FILE", help="`assistants` and a file, or the file of an export")
    importing.add_argument("--user", help="who owns all of it; without it, an export's own roles are given")
    importing.add_argument("--files", help="a directory with the contents of files, named by their ids")
    importing.add_argument("--agent", help="the agent's id for threads in which no assistant of the file answered")
    importing.set_defaults(run=_import)


def _settings() -> "Settings":
    """The settings. A mistake in them ends the program with a message that does not repeat the value."""
    from pydantic import ValidationError

    from app.settings import PREFIX, Settings

    try:
        return Settings()
    except ValidationError as error:
        for found in error.errors(include_input=False, include_url=False):
            name = str(found["loc"][0])
            variable = f"{PREFIX}{name.upper()}" if name in Settings.model_fields else name
            print(f"{variable}: {found['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        sys.exit("The settings cannot be used: see above.")


def _make_private_files() -> None:
    """Let other users of the machine read nothing that this process and its children write."""
    os.umask(0o077)


def _serve(arguments: argparse.Namespace) -> None:
    _make_private_files()
    settings = _settings()
    if not arguments.no_migrate:
        _upgrade(settings)

    from app import logs
    from app.descriptors import raise_descriptor_limit
    from app.main import create_app
    from app.server import build_server

    logs.configure(settings.log_level)
    raise_descriptor_limit()
    app = create_app(settings)
    server = build_server(app, settings, host=arguments.host, port=arguments.port)
    server.announce = lambda address: _announce(settings, address)
    try:
        server.run()
    finally:
        if app.state.refusal is not None:
            sys.exit(app.state.refusal)


def _announce(settings: "Settings", address: str) -> None:
    """Print the addresses of the service, and where its admin key is."""
    _tune_garbage_collection()
    where = "AI_AGENTS_ADMIN_KEY" if settings.admin_key is not None else str(settings.admin_key_file.absolute())
    pages = f"  page       {address}/\n  docs       {address}/docs"
    print(f"AI Agents on {address}\n{pages}\n  admin key  {where}", flush=True)


def _tune_garbage_collection() -> None:
    """Exclude the objects of the start from garbage collection, and collect rarely.

    A turn makes thousands of objects and almost no reference cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _worker(arguments: argparse.Namespace) -> None:
    if arguments.check:
        _check_worker()
        return
    _make_private_files()
    from worker.main import run

    run()


def _check_worker() -> None:
    """End with status 1 unless a worker of this machine has told the database lately that it is alive.

    The worker itself takes no commands: whatever can write to Redis could give them.
    """
    from ai_agents.core.exceptions import AIAgentsError
    from ai_agents.store.processes import is_worker_alive, worker_prefix

    try:
        alive = _with_database(_settings(), lambda d: d.read(lambda c: is_worker_alive(c, worker_prefix())))
    except AIAgentsError as error:
        sys.exit(str(error))
    if not alive:
        sys.exit("No worker of this machine is alive.")


def _migrate(_arguments: argparse.Namespace) -> None:
    _make_private_files()
    _upgrade(_settings())
    print("The database is up to date.")


def _upgrade(settings: "Settings") -> None:
    from ai_agents.core.exceptions import AIAgentsError
    from ai_agents.store.migrate import is_current, upgrade

    try:
        if not is_current(settings.database):
            upgrade(settings.database)
    except AIAgentsError as error:
        sys.exit(str(error))


def _create_key(arguments: argparse.Namespace) -> None:
    from pydantic import ValidationError

    from ai_agents.store import audit, keys
    from app.schemas.access import CreateKey

    _make_private_files()
    settings = _settings()
    try:
        # The same rules for names as in the API.
        CreateKey(user_id=arguments.user, name=arguments.name)
    except ValidationError as error:
        sys.exit(f"This key cannot be made: {error.errors()[0]['msg'].removeprefix('Value error, ')}.")
    _upgrade(settings)

    def make(connection: "Connection") -> "NewKey":
        made = keys.create_key(connection, arguments.user, arguments.name, admin=arguments.admin)
        facts = {"admin": made["admin"], "expires": False}
        act = audit.Act("key.create", None, "key", made["id"], subject_id=arguments.user, details=facts)
        audit.record(connection, act)
        return made

    made = _with_database(settings, lambda database: database.write(make))
    print(made["key"])


def _with_database(settings: "Settings", use: "Callable[[Database], Coroutine[Any, Any, T]]") -> "T":
    """The result of `use` with a database that is open for it alone."""
    import asyncio

    from ai_agents.store.database import Database

    async def run() -> "T":
        database = Database(settings.database, pool_size=1)
        try:
            return await use(database)
        finally:
            await database.close()

    return asyncio.run(run())


def _list_jobs(_arguments: argparse.Namespace) -> None:
    for job in _with_database(_settings(), _open_jobs):
        print(f"{job['id']}  {job['status']:8}{job['kind']:12}{job['created_at']}  {job['error'] or ''}".rstrip())


async def _open_jobs(database: "Database") -> "list[Job]":
    """The newest jobs that failed, run or are queued."""
    from ai_agents.store.jobs import JobStore

    store = JobStore(database)
    pages = [await store.list(status=status, limit=100) for status in ("failed", "running", "queued")]
    return [job for page in pages for job in page["data"]]


def _retry_jobs(arguments: argparse.Namespace) -> None:
    from ai_agents.core.exceptions import AIAgentsError
    from ai_agents.store import jobs

    def retry(connection: "Connection") -> int:
        job_ids = arguments.job or jobs.list_failed(connection)
        for job_id in job_ids:
            jobs.retry(connection, job_id, send_now=False)
        return len(job_ids)

    try:
        retried = _with_database(_settings(), lambda database: database.write(retry))
    except AIAgentsError as error:
        sys.exit(str(error))
    print(f"{retried} to be done again.")


def _verify_audit(arguments: argparse.Namespace) -> None:
    """Print what holds; end with status 1 and name the first batch that does not hold."""
    from ai_agents.core.exceptions import AIAgentsError
    from ai_agents.store.audit_chain import verify
    from app.audit_commands import parse_head, tell

    try:
        heads = [parse_head(each) for each in arguments.head]
    except ValueError:
        sys.exit("A head is NUMBER:HASH, as the log of the service and this command say it.")
    settings = _settings()
    _require_schema(settings)
    try:
        found = _with_database(settings, lambda database: verify(database, heads))
    except AIAgentsError as error:
        sys.exit(str(error))
    if found.fault is not None:
        sys.exit(tell(found))
    print(tell(found))


def _export_audit(_arguments: argparse.Namespace) -> None:
    from ai_agents.core.exceptions import AIAgentsError
    from app.audit_commands import export

    async def write(database: "Database") -> None:
        async for line in export(database):
            print(line)

    settings = _settings()
    _require_schema(settings)
    try:
        _with_database(settings, write)
    except AIAgentsError as error:
        sys.exit(str(error))
    except BrokenPipeError:
        # Its reader has enough. What is still to be written goes nowhere, or the end would report it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _export(arguments: argparse.Namespace) -> None:
    from app.moving_commands import export_all

    _make_private_files()
    settings = _settings()
    _require_schema(settings)
    try:
        _move(settings, lambda database: export_all(database, settings, arguments))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _import(arguments: argparse.Namespace) -> None:
    from app.moving_commands import import_all

    _make_private_files()
    settings = _settings()
    _upgrade(settings)
    _move(settings, lambda database: import_all(database, settings, arguments))


def _move(settings: "Settings", use: "Callable[[Database], Coroutine[Any, Any, int]]") -> None:
    """End with the status that `use` gives."""
    from ai_agents.core.exceptions import AIAgentsError

    try:
        sys.exit(_with_database(settings, use))
    except AIAgentsError as error:
        sys.exit(str(error))


def _require_schema(settings: "Settings") -> None:
    """End with a sentence where the database is not at this version's schema: these commands change nothing."""
    from ai_agents.core.exceptions import AIAgentsError
    from ai_agents.store.migrate import is_current

    try:
        current = is_current(settings.database)
    except AIAgentsError as error:
        sys.exit(str(error))
    if not current:
        sys.exit("The database is not at the schema of this version: run `ai-agents migrate` first.")


def _chat(arguments: argparse.Namespace) -> None:
    from app.chat import ChatError, chat

    settings = _settings()
    url = arguments.url or f"http://{settings.host}:{settings.port}"
    try:
        chat(url, key=arguments.key or _own_key(settings), agent_id=arguments.agent, thread_id=arguments.thread)
    except ChatError as error:
        sys.exit(str(error))


def _own_key(settings: "Settings") -> str:
    if settings.admin_key is None and not settings.admin_key_file.exists():
        sys.exit("No key: give one with --key, or run this where the service keeps its admin key.")

    from app.key_files import admin_key

    return admin_key(settings)


if __name__ == "__main__":
    main()
