"""Extracts the text of PDFs and Word documents in a separate process with limits of time and memory.

That process gets the document on its standard input. It has no environment and no other file, and cannot write files.
"""

import asyncio
import json
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Any, BinaryIO

from ai_agents.attachments.kinds import DOCX, PDF
from ai_agents.core.exceptions import InvalidRequest, Overloaded
from ai_agents.core.extras import require
from ai_agents.core.fair_work import Places
from ai_agents.core.json import clean_text

# Processor time, and elapsed time: a reader gives way to all else, so that on a busy machine it takes several times as
# long. An endless document is refused within 5 s on a free one.
TIME_LIMIT_S = 3
_WALL_LIMIT_S = 10.0
MEMORY_LIMIT_BYTES = 512 << 20
# About 250,000 tokens, which is more than most models take.
MAX_TEXT_CHARACTERS = 1 << 20
# A character has at most four bytes in UTF-8.
_MAX_TEXT_BYTES = 4 * MAX_TEXT_CHARACTERS
# Readers at the same time in one service process. A user has one of them; so many more documents of a user may wait.
_PARALLEL = 2
_MOST_WAITING = 16
_WAIT_S = 30
_PROGRAM = Path(__file__).with_name("reader.py")
_KINDS = {PDF: "pdf", DOCX: "docx"}
# A character takes at most 12 bytes in JSON: two escape sequences for one beyond 16 bits.
_MAX_OUTPUT = 12 * MAX_TEXT_CHARACTERS + 4096
_REASONS = {
    "malformed": "The file cannot be read: it is broken.",
    "encrypted": "The file cannot be read: it is encrypted.",
    "too_slow": "The file cannot be read within the limits: it takes too long.",
    "too_large": "The file cannot be read within the limits: it unpacks to too much.",
}


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of a document, empty for a scan. `pages` is None except for PDFs. `cut` if there was more text."""

    text: str
    pages: int | None
    cut: bool


def has_text_to_extract(media_type: str) -> bool:
    """Whether files of this type are documents whose text has to be extracted."""
    return media_type in _KINDS


def beginning_of(content: bytes | mmap) -> str:
    """The part of a text file that is sent to a model."""
    text = bytes(content[:_MAX_TEXT_BYTES]).decode("utf-8-sig", "ignore")
    return clean_text(text[:MAX_TEXT_CHARACTERS])


class Extractor:
    """Runs reader processes, a few at the same time, and one for each user."""

    def __init__(self, *, time_limit_s: int = TIME_LIMIT_S, memory_limit_bytes: int = MEMORY_LIMIT_BYTES) -> None:
        self._time_limit_s = time_limit_s
        self._memory_limit_bytes = memory_limit_bytes
        self._places = Places(_PARALLEL, most_waiting=_MOST_WAITING)

    async def extract(self, file: BinaryIO, media_type: str, *, user_id: str = "") -> Extracted:
        """The text of a document. `file` is at its beginning.

        Raises `InvalidRequest` if it is broken, encrypted or exceeds a limit, `TooManyAtOnce` if many of this user's
        wait, and `Overloaded` after a long wait.
        """
        if media_type == PDF:
            require("pypdf")
        try:
            async with asyncio.timeout(_WAIT_S):
                await self._places.take(user_id)
        except TimeoutError:
            raise Overloaded("Too many documents are being read.", retry_after_s=5) from None
        try:
            status, output = await self._run(file, _KINDS[media_type])
            return await asyncio.to_thread(_read_output, status, output)
        finally:
            self._places.release(user_id)

    async def _run(self, file: BinaryIO, kind: str) -> tuple[int, bytes]:
        limits = (self._memory_limit_bytes, self._time_limit_s, MAX_TEXT_CHARACTERS)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-B", str(_PROGRAM), kind, *map(str, limits)),
            stdin=file,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
            limit=_MAX_OUTPUT,
        )
        assert process.stdout is not None  # noqa: S101  # stdout is a pipe
        try:
            async with asyncio.timeout(_WALL_LIMIT_S):
                output = bytearray()
                while len(output) <= _MAX_OUTPUT and (piece := await process.stdout.read(1 << 16)):
                    output += piece
                return await process.wait(), bytes(output)
        except TimeoutError:
            raise _refusal("too_slow") from None
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _read_output(status: int, output: bytes) -> Extracted:
    if status in {-signal.SIGXCPU, -signal.SIGKILL}:
        raise _refusal("too_slow")
    try:
        found: dict[str, Any] = json.loads(output)
    except ValueError:
        raise _refusal("too_large") from None  # the process had no memory left to report it
    if "error" in found:
        raise _refusal(found["error"])
    return Extracted(clean_text(found["text"]), found["pages"], found["cut"])


def _refusal(reason: str) -> InvalidRequest:
    return InvalidRequest(_REASONS[reason], loc=("file",))
