"""Logs of all processes, and of the libraries in them: lines of JSON on stderr, or readable lines on a terminal.

Each line has what its task belongs to: the request, the run with its thread, or the job, and its trace where there are
traces.
"""

import logging
import os
import sys
from contextlib import suppress
from typing import IO, Any, BinaryIO, TextIO, cast

import orjson
import structlog

from ai_agents.core.log_context import log_context
from ai_agents.core.tracing import current_trace_id
from ai_agents.core.wording import harmless


def _add_work(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Add the run or the job that the task works for, and its trace.

    What the line says itself is nearer to the truth.
    """
    for name, value in log_context().items():
        event.setdefault(name, value)
    if (trace_id := current_trace_id()) is not None:
        event["trace_id"] = trace_id
    return event


# Which of several processes this is, if it is one of them.
_process: dict[str, int] = {}


def _add_process(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return {**event, **_process}


_SHARED: list[structlog.types.Processor] = [
    _add_process,
    structlog.contextvars.merge_contextvars,
    _add_work,
    structlog.processors.add_log_level,
    structlog.processors.format_exc_info,
]


def _make_harmless(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Take out what would command a terminal, and set off further lines, which could be taken for lines of the log."""
    return {
        name: harmless(value).replace("\n", "\n    ") if isinstance(value, str) else value
        for name, value in event.items()
    }


# The extra fields that the framework logs. Extra fields of libraries are left out.
_FACTS = {
    "address", "attempt", "batch", "cause", "channel", "database", "guardrail", "hash", "job_id", "kind", "model", "ms",
    "provider", "quirks", "reason", "run_id", "said", "server", "status", "thread_id", "tool", "tools",
}  # fmt: skip
# HTTP clients that log every request at `info`: a line for each model call, at a twentieth of the cost of a turn. And
# what logs each migration, and each job as it comes and goes, for which there are lines of our own.
_VERBOSE = (
    "httpx", "httpx2", "alembic", "celery.app.trace", "celery.worker.strategy", "celery.worker.consumer.connection",
    "multiprocessing",
)  # fmt: skip
# Libraries that log headers, and so keys.
_LEAKING = ("httpcore", "httpcore2")
# What the server says of its start and end, which the service says better; and of a start that the service refused,
# for which the command line has a sentence.
_SERVER = "uvicorn.error"
_REFUSED_START = "Application startup failed. Exiting."


class _Lossy:
    """A stream for lines of the log. Where it cannot be written (a full disk, a reader that has gone) a line is lost.

    What logs it goes on: it would fail for the sake of a line otherwise, and the parent of several processes end.
    """

    def __init__(self, stream: IO[Any]) -> None:
        self._stream = stream

    def write(self, said: Any) -> None:
        """Write it, if that can be done."""
        with suppress(OSError):
            self._stream.write(said)

    def flush(self) -> None:
        """As `write`."""
        with suppress(OSError):
            self._stream.flush()


def configure(level: str, *, process: int | None = None) -> None:
    """Send all logs of the process through one chain. Levels below `level` cost almost nothing.

    `process` is the number of one of several, which each of its lines has then.
    """
    if process is not None:
        _process["process"] = process
    number = logging.getLevelNamesMapping()[level.upper()]
    readable = sys.stderr.isatty()
    structlog.configure(
        processors=[*_SHARED, *(_for_people() if readable else _for_programs(_to_bytes))],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Lossy(sys.stderr)))
        if readable
        else structlog.BytesLoggerFactory(cast("BinaryIO", _Lossy(sys.stderr.buffer))),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_Lossy(sys.stderr))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder(allow=_FACTS)],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(_for_people() if readable else _for_programs(lambda event, **_: _to_bytes(event).decode())),
            ],
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


def _for_programs(serializer: Any) -> list[structlog.types.Processor]:
    return [
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.JSONRenderer(serializer=serializer),
    ]


def _for_people() -> list[structlog.types.Processor]:
    return [
        _shorten_request,
        _make_harmless,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False, key="time"),
        structlog.dev.ConsoleRenderer(
            colors="NO_COLOR" not in os.environ,
            timestamp_key="time",
            # The usual one shows the values of variables, and so keys.
            exception_formatter=structlog.dev.plain_traceback,
        ),
    ]


def _shorten_request(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Say a request as people read it: `POST /threads/…/messages 201`."""
    if event.get("event") == "request":
        event["event"] = f"{event.pop('method')} {event.pop('path')} {event.pop('status')}"
        for name in ("route", "client", "user_id", "request_id"):
            event.pop(name, None)
    return event


def _to_bytes(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=repr)
