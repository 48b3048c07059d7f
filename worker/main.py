"""The Celery application, and the process that `ai-agents worker` starts."""

import os
import signal
import sys
from threading import Timer

from celery import Celery
from celery.signals import worker_shutting_down

# How long jobs may go on after SIGTERM; what is then not done goes back into the queue.
GRACE_S = 30.0

celery = Celery("worker", include=["worker.tasks", "worker.tending"])
celery.config_from_object("worker.configuration")


@worker_shutting_down.connect
def _limit_shutdown(how: str, **_: object) -> None:
    """Put a limit to the warm shutdown, which SIGTERM begins and which waits for jobs without end.

    Celery's own limit, the soft shutdown, sleeps to its end even when the last job is done after a moment.
    """
    if how == "Warm":
        limit = Timer(GRACE_S, os.kill, (os.getpid(), signal.SIGQUIT))
        limit.daemon = True
        limit.start()


def run() -> None:
    """Take jobs until SIGTERM; then take no more, and give those under way `GRACE_S` seconds.

    Exits with another status than 0 where it is an error that ends it. Celery's own command line drops that status.
    """
    worker = celery.Worker(loglevel="INFO", without_gossip=True, without_mingle=True)
    worker.start()
    sys.exit(worker.exitcode)
