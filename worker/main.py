"""The Celery application, and the process that `ai-agents worker` starts."""

import asyncio
import logging
import os
import signal
import sys
import warnings
from threading import Timer
from typing import TYPE_CHECKING

from billiard.process import active_children
from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import worker_shutting_down

from worker.logs import configure_logs

# How long jobs may go on after SIGTERM; jobs that are not done by then go back into the queue.
GRACE_S = 30.0
# So long after the grace the process ends, whatever it waits for: Celery waits without end for a Redis that hangs.
_CLOSING_S = 4.6

if TYPE_CHECKING:
    from ai_agents.attachments.storage import BlobStore
    from app.settings import Settings

_log = logging.getLogger(__name__)
celery = Celery("worker", include=["worker.logs", "worker.runtime", "worker.periodic"])
celery.config_from_object("worker.configuration")


@worker_shutting_down.connect
def _limit_shutdown(how: str, **_: object) -> None:
    """Limit the warm shutdown, which SIGTERM begins and which has no time limit.

    Celery's own limit, the soft shutdown, always sleeps for its whole time, even if the last job ends after a moment.
    """
    if how == "Warm":
        for limit in (
            Timer(GRACE_S, os.kill, (os.getpid(), signal.SIGQUIT)),
            Timer(GRACE_S + _CLOSING_S, _leave),
        ):
            limit.daemon = True
            limit.start()


def _leave() -> None:
    """End this process and those of its pool. The outbox and Redis still have their jobs."""
    _log.warning("the time for stopping is over, ending with what is under way")
    for process in active_children():
        if process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)
    os._exit(0)


def _check_settings() -> None:
    """End the process, with the reason, where every job would fail: for a setting, a folder or a missing package."""
    # Imported here: each health check imports this module.
    from ai_agents.attachments.storage import open_blob_store
    from ai_agents.bus.failures import find_wrong_server
    from ai_agents.core.exceptions import AIAgentsError
    from ai_agents.core.extras import require
    from ai_agents.store.database import normalize_url
    from app.container import build_providers, check_models
    from app.key_files import admin_key, encryption_keys
    from app.settings.reading import read_settings, unknown_names
    from app.tracing import PACKAGE

    try:
        settings = read_settings()
        if settings.redis_url is None:
            sys.exit(
                "AI_AGENTS_REDIS_URL is not set. A worker needs Redis; without it the service does the jobs itself."
            )
        for sentence in unknown_names():
            _log.warning(sentence)
        if settings.traces_address is not None:
            require(PACKAGE)
        if normalize_url(settings.database).get_backend_name() == "postgresql":
            require("asyncpg")
        blobs = open_blob_store(settings.files, settings.files_url)
        blobs.check()
        check_models(settings, build_providers(settings))
        admin_key(settings)
        encryption_keys(settings)
        asyncio.run(_claim(settings, blobs))
        if (fault := asyncio.run(find_wrong_server(settings.redis_url))) is not None:
            sys.exit(fault)
    except AIAgentsError as error:
        sys.exit(str(error))


async def _claim(settings: "Settings", blobs: "BlobStore") -> None:
    """Raises `StorageUnavailable` where the folder of files is another one than the service's.

    A worker waits for a database that is away; each of its processes then looks at the folder itself. Raises
    `DatabaseUnavailable` for what no wait would change.
    """
    from ai_agents.core.exceptions import DatabaseUnavailable
    from ai_agents.store.database import Database
    from ai_agents.store.opening import may_pass

    database = Database(settings.database, pool_size=1, direct_url=settings.database_direct_url)
    try:
        await database.check()
        if await database.is_empty():
            sys.exit("The database has no tables yet: run `ai-agents migrate` first.")
        await blobs.claim(database)
    except DatabaseUnavailable as error:
        if not may_pass(error, database.url):
            raise
        _log.warning("the database cannot be used yet", extra={"reason": str(error)})
    finally:
        await database.close()


def run() -> None:
    """Take jobs until SIGTERM, then give running jobs `GRACE_S` seconds.

    Ends the process, with a status other than 0 after an error. Celery's own command line drops that status.
    """
    configure_logs()
    _check_settings()
    # Celery warns of running as root, because a pickled message could run any code as root. Only JSON is accepted
    # here, and in a container root is often the only user.
    warnings.simplefilter("ignore", SecurityWarning)
    # The level of what new processes say before they have our logs.
    worker = celery.Worker(loglevel="WARNING", without_gossip=True, without_mingle=True, quiet=True)
    worker.start()
    sys.exit(worker.exitcode)
