"""What a file is, told from its content. Whatever is not on the list, or is two things at once, is refused."""

import codecs
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import orjson

from ai_agents.attachments.images import Data, Malformed, find_picture
from ai_agents.core.exceptions import InvalidRequest, UnsupportedFile

PDF = "application/pdf"
PLAIN_TEXT = "text/plain"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
TEXTS = (PLAIN_TEXT, "text/markdown", "text/csv", "application/json")
# The largest photographs have 200 megapixels; what decodes to more is made to fill a memory.
MAX_PIXELS = 200_000_000
MAX_EDGE = 32_000
_TAKEN = "png, jpeg, gif and webp images, pdf, docx, and text (plain, markdown, csv, json)"

# Of a family all types are taken for one another where a name or a client says one and the content is another.
_FAMILIES: Mapping[str, frozenset[str]] = {
    "image": frozenset({"png", "jpg", "jpeg", "jpe", "jfif", "gif", "webp"}),
    PDF: frozenset({"pdf"}),
    DOCX: frozenset({"docx"}),
    "text": frozenset({"txt", "text", "md", "markdown", "csv", "json", "log"}),
}
_BY_EXTENSION = {extension: family for family, members in _FAMILIES.items() for extension in members}
_MARKDOWN, _CSV, _JSON = {"md", "markdown"}, {"csv"}, {"json"}
# Texts that a browser runs. Their names alone are enough to refuse them.
_ACTIVE_EXTENSIONS = {"html", "htm", "xhtml", "xht", "shtml", "svg", "svgz", "mht", "mhtml", "hta", "xml", "xsl"}
_ACTIVE_TYPES = {"text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml"}

# The tags of https://mimesniff.spec.whatwg.org/#identifying-a-resource-with-an-unknown-mime-type, and what XML begins
# with. Markdown may begin with some HTML, but not with a page of it.
_PAGE = re.compile(rb"<(!doctype|html|head|body|script|svg|\?xml|iframe|title|style|meta|link)\b", re.IGNORECASE)
_TAG = re.compile(rb"<(h1|div|font|table|a|b|br|p)[\s>]", re.IGNORECASE)
_BEFORE_TAG = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s+|<!--.*?-->)*", re.DOTALL)
_HEAD = 64 * 1024
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
# Never in a picture, except in one that is meant to be taken for something else. Long enough not to come by chance.
_HIDDEN = (b"<script", b"<?php ", b"<!doctype html", b"<iframe")
_PDF_HEADER = re.compile(rb"%PDF-\d")
# A PDF's readers look for its header in this much of a file.
_PDF_HEAD = 1024
_SMALL_JSON = 256 * 1024
_PIECE = 1 << 20

_MAX_COMMENT = 65_535
_MAX_DIRECTORY = 1 << 20
_MAX_ENTRIES = 10_000
_MAX_UNPACKED = 512 << 20
_MAIN_DOCUMENT = re.compile(rb"application/vnd\.openxmlformats-officedocument\.wordprocessingml\.document\.main\+xml")
_MAX_CONTENT_TYPES = 1 << 20


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is. `facts` are `width` and `height` of a picture, in pixels."""

    media_type: str
    facts: Mapping[str, int] = field(default_factory=dict)


def tell_kind(data: Data, *, filename: str, declared: str | None = None) -> Kind:
    """What this content is. The name and the type that the client declares only choose among texts, or contradict.

    Raises `UnsupportedFile`; `InvalidRequest` for a picture that is too large, and for an empty file.
    """
    if not len(data):
        raise InvalidRequest("The file is empty.", loc=("file",))
    extension = PurePosixPath(filename).suffix.lstrip(".").lower()
    declared = (declared or "").partition(";")[0].strip().lower()
    if extension in _ACTIVE_EXTENSIONS or declared in _ACTIVE_TYPES:
        raise _unsupported("Pages and drawings that a browser would run are not taken")
    kind = _picture(data) or _document(data) or _text(data, extension, declared)
    _refuse_contradiction(kind.media_type, extension, declared)
    return kind


def _unsupported(reason: str) -> UnsupportedFile:
    return UnsupportedFile(f"{reason}: {_TAKEN} are.")


def family_of(media_type: str) -> str:
    """The family of a media type; the type itself where it has none."""
    if media_type.startswith("image/"):
        return "image"
    return "text" if media_type.startswith("text/") or media_type in TEXTS else media_type


def _refuse_contradiction(found: str, extension: str, declared: str) -> None:
    said = {_BY_EXTENSION.get(extension)}
    if declared.startswith(("image/", "text/")) or declared in {PDF, DOCX, *TEXTS}:
        said.add(family_of(declared))
    if said - {None, family_of(found)}:
        raise UnsupportedFile(f"The file is not what it is said to be: its content is {found}.")


# Pictures.


def _picture(data: Data) -> Kind | None:
    try:
        found = find_picture(data)
    except Malformed:
        raise UnsupportedFile("The picture is broken, or followed by something else.") from None
    if found is None:
        return None
    media_type, (width, height, _end) = found
    if max(width, height) > MAX_EDGE or width * height > MAX_PIXELS:
        raise InvalidRequest(
            f"The picture is larger than {MAX_PIXELS} pixels, or than {MAX_EDGE} on one side.", loc=("file",)
        )
    if _PDF_HEADER.search(data, 0, _PDF_HEAD) or _archive_at_end(data) is not None or _hides_a_page(data):
        raise UnsupportedFile("The picture holds a file of another kind.")
    return Kind(media_type, {"width": width, "height": height})


def _hides_a_page(data: Data) -> bool:
    overlap = max(map(len, _HIDDEN))
    pieces = (data[start : start + _PIECE + overlap].lower() for start in range(0, len(data), _PIECE))
    return any(word in piece for piece in pieces for word in _HIDDEN)


# Documents.


def _document(data: Data) -> Kind | None:
    if _PDF_HEADER.match(data):
        if _archive_at_end(data) is not None:
            raise UnsupportedFile("The PDF is an archive at the same time.")
        return Kind(PDF)
    if data[:4] == b"PK\x03\x04":
        _check_docx(data)
        return Kind(DOCX)
    return None


def _archive_at_end(data: Data) -> tuple[int, int, int] | None:
    """The entries, the length and the place of the directory of a ZIP archive that ends where the data does."""
    at = data.rfind(b"PK\x05\x06", max(0, len(data) - _MAX_COMMENT - 22))
    if at < 0 or at + 22 > len(data):
        return None
    entries, length, start, comment = struct.unpack_from("<HIIH", data, at + 10)
    return (entries, length, start) if at + 22 + comment == len(data) else None


def _check_docx(data: Data) -> None:
    """Raises `UnsupportedFile` for an archive that is no document of Word, `InvalidRequest` for one that unpacks to
    more than any is.
    """
    no_document = _unsupported("Archives are not taken")
    directory = _archive_at_end(data)
    if directory is None:
        raise no_document
    entries, length, _start = directory
    if length > _MAX_DIRECTORY or entries > _MAX_ENTRIES:
        raise UnsupportedFile("The document has more parts than one has.")
    try:
        with zipfile.ZipFile(_Window(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > _MAX_UNPACKED:
                raise InvalidRequest(f"The document unpacks to more than {_MAX_UNPACKED} bytes.", loc=("file",))
            names = set(archive.namelist())
            if not {"[Content_Types].xml", "word/document.xml"} <= names:
                raise no_document
            with archive.open("[Content_Types].xml") as types:
                told = types.read(_MAX_CONTENT_TYPES)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise UnsupportedFile("The document is a broken or an encrypted archive.") from error
    if not _MAIN_DOCUMENT.search(told) or any(name.startswith("word/vbaProject") for name in names):
        raise no_document


class _Window:
    """Data as a file that is only read: a copy of it all would take as much memory again."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._at = 0

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._at, len(self._data))[whence]
        if base + offset < 0:
            raise OSError("before the beginning")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = len(self._data) if size < 0 else self._at + size
        piece = bytes(self._data[self._at : end])
        self._at += len(piece)
        return piece


# Texts.


def _text(data: Data, extension: str, declared: str) -> Kind:
    if not _is_utf8(data):
        raise _unsupported("Files of this kind are not taken")
    head = bytes(data[:_HEAD])
    begins = head[_BEFORE_TAG.match(head).end() :]  # type: ignore[union-attr]  # it matches the empty text, too
    is_markdown = extension in _MARKDOWN or declared == "text/markdown"
    if _PAGE.match(begins) or (_TAG.match(begins) and not is_markdown):
        raise _unsupported("HTML, SVG and XML are not taken")
    if is_markdown:
        return Kind("text/markdown")
    if extension in _CSV or declared == "text/csv":
        return Kind("text/csv")
    if _is_json(data, said=extension in _JSON or declared == "application/json"):
        return Kind("application/json")
    return Kind(PLAIN_TEXT)


def _is_utf8(data: Data) -> bool:
    """Whether all of it is text in UTF-8, looked at in pieces, between which other threads have their turn."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            if _CONTROL.search(piece):
                return False
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _is_json(data: Data, *, said: bool) -> bool:
    if data[:1] not in {b"{", b"["}:
        return False
    if len(data) > _SMALL_JSON:
        return said  # a large one takes much more memory as values than as text: it is taken at its word
    try:
        orjson.loads(bytes(data))
    except ValueError:
        return False
    return True
