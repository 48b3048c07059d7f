"""Reads the text of one document. `extraction` runs this program in a new process for each document, so that a hostile
document can end only that process.

Usage: reader.py <pdf|docx> <bytes of memory> <seconds of processor time> <characters of text>, with the document on
standard input. Prints one JSON object: `{"text", "pages", "cut"}`, or `{"error"}` with `malformed`, `encrypted` or
`too_large`.
"""

import json
import logging
import os
import resource
import sys
import time
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn
from xml.parsers import expat

# The most that a page or a part may unpack to. Real ones unpack to a hundredth of it.
MAX_UNPACKED = 48 << 20
_CHUNK_BYTES = 64 * 1024
# The service goes before its readers where there are few processors.
_NICENESS = 10
# No page is begun after this time, so that a long document gives the pages that there was time for.
_TIME_FOR_PAGES_S = 2.0
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main "
# The strict form of ISO 29500.
_STRICT_WORD = "http://purl.oclc.org/ooxml/wordprocessingml/main "
_BREAKS = {"p": "\n", "tr": "\n", "br": "\n", "cr": "\n", "tab": "\t", "tc": "\t"}


class Unreadable(Exception):
    """The text cannot be extracted. The message is the error that `main` prints; it prints `malformed` for others."""


class TextCollector:
    """Collects text up to a length."""

    def __init__(self, limit: int) -> None:
        self._pieces: list[str] = []
        self._left = limit
        self.cut = False

    def add(self, piece: str) -> None:
        if len(piece) > self._left:
            piece, self.cut = piece[: self._left], True
        self._left -= len(piece)
        self._pieces.append(piece)

    def __str__(self) -> str:
        return "".join(self._pieces).strip()


def read_pdf(file: BinaryIO, text: TextCollector) -> int:
    """Add the text of all pages, and return their number. Raises `Unreadable`."""
    from pypdf import PdfReader, overwrite_configuration
    from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError

    overwrite_configuration(
        zlib_maximum_output_length=MAX_UNPACKED,
        lzw_maximum_output_length=MAX_UNPACKED,
        run_length_maximum_output_length=MAX_UNPACKED,
        brotli_maximum_output_length=MAX_UNPACKED,
        array_based_stream_maximum_output_length=MAX_UNPACKED,
        jbig2dec_binary=None,  # starts no other process
        disable_legacy_handling=True,
    )
    last_begin = time.monotonic() + _TIME_FOR_PAGES_S
    try:
        reader = PdfReader(file)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("encrypted")
        pages = len(reader.pages)
        readable = 0
        for number in range(pages):
            if text.cut or time.monotonic() > last_begin:
                text.cut = True
                break
            readable += _add_page(reader, number, text)
    except LimitReachedError as error:
        raise Unreadable("too_large") from error
    except (DependencyError, FileNotDecryptedError) as error:
        raise Unreadable("encrypted") from error
    if not readable:
        raise Unreadable("too_large" if text.cut else "malformed")
    return pages


def _add_page(reader: Any, number: int, text: TextCollector) -> bool:
    """Add the text of a page. Returns whether it could be read: a broken page does not affect the others."""
    from pypdf.errors import LimitReachedError

    try:
        page_text = reader.pages[number].extract_text()
    except (LimitReachedError, MemoryError):
        raise
    except Exception:  # noqa: BLE001  # a broken page makes the library fail in any way
        return False
    text.add(f"{page_text.strip()}\n\n")
    return True


def read_docx(file: BinaryIO, text: TextCollector) -> None:
    """Add the text of the document's body, with paragraphs and rows as lines. Raises `Unreadable`."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    inside, cells = False, 0

    def start(name: str, _attributes: Any) -> None:
        nonlocal inside, cells
        tag = _tag(name)
        inside = tag == "t"
        cells += tag == "tc"
        if tag in {"br", "cr", "tab"}:
            text.add(_BREAKS[tag])

    def end(name: str) -> None:
        nonlocal inside, cells
        inside, tag = False, _tag(name)
        cells -= tag == "tc"
        if tag in {"p", "tr", "tc"}:
            text.add(" " if tag == "p" and cells else _BREAKS[tag])

    def characters(data: str) -> None:
        if inside:
            text.add(data)

    def refuse(*_declared: Any) -> NoReturn:
        raise Unreadable("malformed")  # only hostile documents declare entities, which expand

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        for chunk in _body(file):
            parser.Parse(chunk)
            if text.cut:
                return
        parser.Parse(b"", True)
    except RuntimeError as error:  # zipfile raises it for a password, and its subclass for an unknown compression
        raise Unreadable("malformed" if isinstance(error, NotImplementedError) else "encrypted") from error


def _body(file: BinaryIO) -> Iterator[bytes]:
    unpacked = 0
    with zipfile.ZipFile(file) as archive, archive.open("word/document.xml") as body:
        while chunk := body.read(_CHUNK_BYTES):
            unpacked += len(chunk)
            if unpacked > MAX_UNPACKED:
                raise Unreadable("too_large")
            yield chunk


def _tag(name: str) -> str:
    return name.removeprefix(_WORD).removeprefix(_STRICT_WORD)


def main(kind: str, memory_bytes: int, time_s: int, characters: int) -> None:
    """Read the document and print the result."""
    logging.disable()
    os.nice(_NICENESS)
    text = TextCollector(characters)
    pages: int | None = None
    try:
        if kind == "pdf":
            import pypdf  # noqa: F401  # before the time limit starts: loading is slow on a busy machine
        seconds = time_s + int(time.process_time())
        limits = {resource.RLIMIT_AS: memory_bytes, resource.RLIMIT_CPU: seconds}
        for what, most in (limits | {resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}).items():
            resource.setrlimit(what, (most, most))
        if kind == "pdf":
            pages = read_pdf(sys.stdin.buffer, text)
        else:
            read_docx(sys.stdin.buffer, text)
        found: dict[str, Any] = {"text": str(text), "pages": pages, "cut": text.cut}
    except Unreadable as error:
        found = {"error": str(error)}
    except MemoryError:
        found = {"error": "too_large"}
    except Exception:  # noqa: BLE001  # libraries raise anything for a broken file
        found = {"error": "malformed"}
    sys.stdout.buffer.write(json.dumps(found, ensure_ascii=True).encode())


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
