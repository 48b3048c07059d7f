"""Logs: one line of JSON per event on stderr, with the request's id, for the service and its libraries."""

import logging
import sys
from typing import Any

import orjson
import structlog

_SHARED: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    structlog.processors.format_exc_info,
]
# The extra fields that the framework logs. Extra fields of libraries are left out.
_FACTS = {
    "address", "attempt", "batch", "cause", "channel", "guardrail", "hash", "job_id", "kind", "model", "provider",
    "quirks", "reason", "run_id", "said", "server", "status", "thread_id", "tool", "tools",
}  # fmt: skip
# HTTP clients that log every request at `info`: a line for each model call, at a twentieth of the cost of a turn. And
# what logs each migration.
_VERBOSE = ("httpx", "httpx2", "alembic")
# Libraries that log headers, and so keys.
_LEAKING = ("httpcore", "httpcore2")


# What the server says of its start and end, which the service says better; and of a start that the service refused,
# for which the command line has a sentence.
_SERVER = "uvicorn.error"
_REFUSED_START = "Application startup failed. Exiting."


def configure(level: str) -> None:
    """Send all logs of the process through one chain. Levels below `level` cost almost nothing."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*_SHARED, structlog.processors.JSONRenderer(serializer=_to_bytes)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    render = structlog.processors.JSONRenderer(serializer=lambda event, **_: _to_bytes(event).decode())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder(allow=_FACTS)],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(level=number, handlers=[handler], force=True)
    for name in _VERBOSE:
        logging.getLogger(name).setLevel(max(number, logging.WARNING) if number > logging.DEBUG else number)
    for name in _LEAKING:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    server = logging.getLogger(_SERVER)
    server.setLevel(max(number, logging.WARNING) if number > logging.DEBUG else number)
    server.addFilter(_is_no_refusal)
    logging.captureWarnings(capture=True)


def _is_no_refusal(record: logging.LogRecord) -> bool:
    return record.getMessage() != _REFUSED_START


def _to_bytes(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=repr)
