"""Celery's settings. Celery imports this module by name, in the worker and in each process of its pool."""

import sys

from app.job_queue import QUEUE, VISIBILITY_TIMEOUT_S, celery_settings
from app.settings import Settings
from worker.runtime import JOB_TIME_LIMIT_S

_settings = Settings()
if not _settings.redis_url:
    sys.exit("AI_AGENTS_REDIS_URL is not set. A worker needs Redis; without it the service runs its jobs itself.")

# Look for the jobs of killed workers every 10 s. The default is 100 s.
_broker = celery_settings(_settings.redis_url, unacked_restore_interval=10, unacked_restore_throttle=1)
broker_url = _broker["broker_url"]
broker_use_ssl = _broker["broker_use_ssl"]
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # a worker waits for Redis as long as it takes
broker_transport_options = _broker["broker_transport_options"]
# Celery reads the timeout in three places, and the shortest one counts.
result_backend_transport_options = broker_transport_options
visibility_timeout = VISIBILITY_TIMEOUT_S

accept_content = ["json"]
task_serializer = "json"
task_default_queue = QUEUE
task_ignore_result = True  # the result of a job is in the database
task_time_limit = JOB_TIME_LIMIT_S + 60  # Celery kills the process of a job that does not end at its own limit
task_acks_late = True
task_acks_on_timeout = True
task_reject_on_worker_lost = True
task_retry_on_worker_lost = True  # without it, a job that kills its process is delivered again for ever

worker_enable_remote_control = False  # it would obey whatever can write to Redis
worker_concurrency = _settings.worker_concurrency
worker_prefetch_multiplier = 1  # a long job must not keep messages that a free process could take
worker_max_tasks_per_child = 200
worker_proc_alive_timeout = 60.0  # Celery's 4 s kill processes that load on a busy machine, each time anew
worker_pool_start_method = "spawn"  # a fork would inherit locks and sockets of the parent's threads
