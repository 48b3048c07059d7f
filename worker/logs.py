"""The logs of the service for the worker and each process of its pool, in place of Celery's.

The processes of the pool are new ones, which import what the application includes, and not `worker.main`.
"""

from celery.signals import setup_logging


@setup_logging.connect
def configure_logs(**_: object) -> None:
    """Send what this process logs through the service's chain. Celery calls it once in each process."""
    from app.logs import configure
    from app.settings.reading import read_settings

    configure(read_settings().log_level)
