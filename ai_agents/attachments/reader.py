"""Reads the text of one document. It is a program of its own, started by `extraction` for each document: whatever the
document does to it, this process alone is ended.

Usage: reader.py <pdf|docx> <bytes of memory> <seconds of processor time> <characters of text>, the document as standard
input. Prints one JSON object, `{"text", "pages", "cut"}` or `{"error"}`: `malformed`, `encrypted` or `too_large`.
"""

import json
import logging
import resource
import sys
import time
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn
from xml.parsers import expat

# What a page or a part may unpack to; those of real documents have a hundredth of it.
MAX_UNPACKED = 48 << 20
_PIECE = 64 * 1024
# After it no further page is begun, so that a long document gives as many as there was time for.
_TIME_FOR_PAGES_S = 2.0
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main "
# ISO 29500 in its strict form.
_STRICT_WORD = "http://purl.oclc.org/ooxml/wordprocessingml/main "
_BREAKS = {"p": "\n", "tr": "\n", "br": "\n", "cr": "\n", "tab": "\t", "tc": "\t"}


class Refused(Exception):
    """The document gives no text; the word says why."""


class Text:
    """Text as it is gathered, up to a length."""

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


def read_pdf(file: BinaryIO, text: Text) -> int:
    """Add the text of its pages; how many it has. Raises `Refused`."""
    from pypdf import PdfReader, overwrite_configuration
    from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError, PyPdfError

    overwrite_configuration(
        zlib_maximum_output_length=MAX_UNPACKED,
        lzw_maximum_output_length=MAX_UNPACKED,
        run_length_maximum_output_length=MAX_UNPACKED,
        brotli_maximum_output_length=MAX_UNPACKED,
        array_based_stream_maximum_output_length=MAX_UNPACKED,
        jbig2dec_binary=None,  # no further process
        disable_legacy_handling=True,
    )
    last_begin = time.monotonic() + _TIME_FOR_PAGES_S
    try:
        reader = PdfReader(file)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Refused("encrypted")
        pages = len(reader.pages)
        readable = 0
        for number in range(pages):
            if text.cut or time.monotonic() > last_begin:
                text.cut = True
                break
            readable += _add_page(reader, number, text)
    except LimitReachedError as error:
        raise Refused("too_large") from error
    except (DependencyError, FileNotDecryptedError) as error:
        raise Refused("encrypted") from error
    except PyPdfError as error:
        raise Refused("malformed") from error
    if not readable:
        raise Refused("too_large" if text.cut else "malformed")
    return pages


def _add_page(reader: Any, number: int, text: Text) -> bool:
    """Whether the page could be read. One that is broken does not spoil the others."""
    from pypdf.errors import LimitReachedError

    try:
        said = reader.pages[number].extract_text()
    except (LimitReachedError, MemoryError):
        raise
    except Exception:  # noqa: BLE001  # a broken page makes the library fail in any way
        return False
    text.add(f"{said.strip()}\n\n")
    return True


def read_docx(file: BinaryIO, text: Text) -> None:
    """Add the text of the document's body, its paragraphs and rows as lines. Raises `Refused`."""
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
        raise Refused("malformed")  # documents declare nothing; what does is made to grow

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        for piece in _body(file):
            parser.Parse(piece)
            if text.cut:
                return
        parser.Parse(b"", True)
    except (expat.ExpatError, zipfile.BadZipFile, NotImplementedError, KeyError, EOFError, OSError) as error:
        raise Refused("malformed") from error
    except RuntimeError as error:  # what zipfile says of a password
        raise Refused("encrypted") from error


def _body(file: BinaryIO) -> Iterator[bytes]:
    unpacked = 0
    with zipfile.ZipFile(file) as archive, archive.open("word/document.xml") as body:
        while piece := body.read(_PIECE):
            unpacked += len(piece)
            if unpacked > MAX_UNPACKED:
                raise Refused("too_large")
            yield piece


def _tag(name: str) -> str:
    return name.removeprefix(_WORD).removeprefix(_STRICT_WORD)


def _limit(memory_bytes: int, time_s: int) -> None:
    """Bound what this process may take, before it looks at the document."""
    for what, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, time_s),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def main(kind: str, memory_bytes: int, time_s: int, characters: int) -> None:
    """Read the document and print what is found."""
    logging.disable()
    text = Text(characters)
    pages: int | None = None
    try:
        if kind == "pdf":
            import pypdf  # noqa: F401  # while there is time: a busy machine takes a while to load it
        _limit(memory_bytes, time_s + int(time.process_time()))
        if kind == "pdf":
            pages = read_pdf(sys.stdin.buffer, text)
        else:
            read_docx(sys.stdin.buffer, text)
        found: dict[str, Any] = {"text": str(text), "pages": pages, "cut": text.cut}
    except Refused as refused:
        found = {"error": str(refused)}
    except MemoryError:
        found = {"error": "too_large"}
    except Exception:  # noqa: BLE001  # the edge of this process: what the libraries did not expect is a broken file
        found = {"error": "malformed"}
    sys.stdout.buffer.write(json.dumps(found, ensure_ascii=True).encode())


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
