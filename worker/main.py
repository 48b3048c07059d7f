"""The Celery application, and the process that `ai-agents worker` starts."""

import os
import signal
import sys
from threading import Timer

from celery import Celery
from celery.signals import worker_shutting_down

# How long jobs may go on after SIGTERM; jobs that are not done by then go back into the queue.
GRACE_S = 30.0

celery = Celery("worker", include=["worker.tasks", "worker.periodic"])
celery.config_from_object("worker.configuration")


@worker_shutting_down.connect
def _limit_shutdown(how: str, **_: object) -> None:
    """Limit the warm shutdown, which SIGTERM begins and which has no time limit.

    Celery's own limit, the soft shutdown, always sleeps for its whole time, even if the last job ends after a moment.
    """
    if how == "Warm":
        limit = Timer(GRACE_S, os.kill, (os.getpid(), signal.SIGQUIT))
        limit.daemon = True
        limit.start()


def run() -> None:
    """Take jobs until SIGTERM, then give running jobs `GRACE_S` seconds.

    Ends the process, with a status other than 0 after an error. Celery's own command line drops that status.
    """
    worker = celery.Worker(loglevel="INFO", without_gossip=True, without_mingle=True)
    worker.start()
    sys.exit(worker.exitcode)
