"""Logs: one line of JSON per event on stderr, our own and those of the libraries alike, with the request's id."""

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
# What the framework says beside a message; libraries add facts of their own, which are for their own formatters.
_FACTS = {"attempt", "channel", "job_id", "kind", "reason", "run_id", "server", "thread_id", "tool", "tools"}
# HTTP clients that tell of every request at `info`: one line more for each call of a model, at a twentieth of its cost.
_TALKATIVE = ("httpx", "httpx2")
# They log what is sent, headers too.
_INDISCREET = ("httpcore", "httpcore2")


def configure(level: str) -> None:
    """Send every log of the process through one chain. Levels below `level` cost next to nothing."""
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
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(number, logging.WARNING) if number > logging.DEBUG else number)
    for name in _INDISCREET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    logging.captureWarnings(capture=True)


def _to_bytes(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=repr)
