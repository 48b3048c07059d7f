"""Celery's settings. Celery imports this module by name, in the worker and again in each process of its pool."""

import sys

from app.job_queue import QUEUE, VISIBILITY_TIMEOUT_S
from app.settings import Settings
from worker.runtime import JOB_TIME_LIMIT_S


def _redis_url(settings: Settings) -> str:
    if not settings.redis_url:
        sys.exit("AI_AGENTS_REDIS_URL is not set. A worker needs Redis; without it the service runs its jobs itself.")
    return str(settings.redis_url)


_settings = Settings()
# Celery kills the process of a job that its own limit did not end.
_hard_time_limit_s = JOB_TIME_LIMIT_S + 60
# Redis hands a message that is not acknowledged by then to another worker, so it must outlast the longest job.
_visibility_timeout_s = VISIBILITY_TIMEOUT_S

broker_url = _redis_url(_settings)
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # a worker outlasts any absence of Redis
broker_transport_options = {
    "visibility_timeout": _visibility_timeout_s,
    # A killed worker's jobs are looked for every 10 s, where the default is every 100 s.
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
}
# The timeout stands in three places, and the shortest counts.
result_backend_transport_options = broker_transport_options
visibility_timeout = _visibility_timeout_s

accept_content = ["json"]
task_serializer = "json"
task_default_queue = QUEUE
task_ignore_result = True  # what became of a job is a row of the database
task_time_limit = _hard_time_limit_s
task_acks_late = True
task_acks_on_timeout = True
task_reject_on_worker_lost = True
task_retry_on_worker_lost = True  # without it, a job that kills its process is handed out again for ever

worker_concurrency = _settings.worker_concurrency
worker_prefetch_multiplier = 1  # a long job must not hold back others that a free process could do
worker_max_tasks_per_child = 200
worker_pool_start_method = "spawn"  # a fork would inherit locks and sockets of the parent's threads
