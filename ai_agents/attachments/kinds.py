"""What a file is, according to its content. A file that is of no known kind, or of two kinds at once, is refused.

The size of an image, and where its bytes end, are read from its structure alone: nothing is decompressed.
Sources: https://www.w3.org/TR/png-3/, https://www.w3.org/Graphics/JPEG/itu-t81.pdf (annex B),
https://www.w3.org/Graphics/GIF/spec-gif89a.txt, https://developers.google.com/speed/webp/docs/riff_container, all read
2026-11-22.
"""

import codecs
import io
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import orjson

from ai_agents.attachments.staging import Data
from ai_agents.core.exceptions import InvalidRequest, UnsupportedFile

PDF = "application/pdf"
PLAIN_TEXT = "text/plain"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
TEXTS = (PLAIN_TEXT, "text/markdown", "text/csv", "application/json")
# The largest photographs have 200 megapixels. Larger images are made to fill the memory.
MAX_PIXELS = 200_000_000
MAX_EDGE = 32_000
_ACCEPTED = "png, jpeg, gif and webp images, pdf, docx, and text (plain, markdown, csv, json)"

# The file extensions of each family. A name or a declared type contradicts the content only in another family.
_EXTENSIONS: Mapping[str, set[str]] = {
    "image": {"png", "jpg", "jpeg", "jpe", "jfif", "gif", "webp"},
    PDF: {"pdf"},
    DOCX: {"docx"},
    "text": {"txt", "text", "md", "markdown", "csv", "json", "log"},
}
# Texts that a browser runs. Their names or declared types are enough to refuse them.
_ACTIVE_EXTENSIONS = {"html", "htm", "xhtml", "xht", "shtml", "svg", "svgz", "mht", "mhtml", "hta", "xml", "xsl"}
_ACTIVE_TYPES = {"text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml"}

# The tags of https://mimesniff.spec.whatwg.org/#identifying-a-resource-with-an-unknown-mime-type, and the beginning of
# XML. Markdown may begin with some HTML, but not with a page of it.
_PAGE = re.compile(rb"<(!doctype|html|head|body|script|svg|\?xml|iframe|title|style|meta|link)\b", re.IGNORECASE)
_TAG = re.compile(rb"<(h1|div|font|table|a|b|br|p)[\s>]", re.IGNORECASE)
_BEFORE_TAG = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s+|<!--.*?-->)*", re.DOTALL)
_HEAD = 64 * 1024
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
# Only an image that is meant to be mistaken for something else has these. They are too long to occur by chance.
_HIDDEN = (b"<script", b"<?php ", b"<!doctype html", b"<iframe")
_PDF_HEADER = re.compile(rb"%PDF-\d")
# PDF readers look for the header in this much of a file.
_PDF_HEAD = 1024
_SMALL_JSON = 256 * 1024
_CHUNK_BYTES = 1 << 20

_MAX_COMMENT = 65_535
_MAX_DIRECTORY = 1 << 20
_MAX_ENTRIES = 10_000
_MAX_UNPACKED = 512 << 20
_MAIN_DOCUMENT = re.compile(rb"application/vnd\.openxmlformats-officedocument\.wordprocessingml\.document\.main\+xml")
_MAX_CONTENT_TYPES = 1 << 20
# The most chunks, segments or blocks in an image: far more than any writer makes of 20 MiB, and quick to walk.
_MAX_CHUNKS = 300_000
# What some writers leave at the end.
_PADDING = b"\0\r\n\t "
_MAX_PADDING = 4096
# Cameras put more images, a video, or their own notes after a JPEG. The notes end with this.
_CAMERA_NOTES = b"SEFT"
_SIZED_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
# Within a scan every 0xFF is followed by 0 or by a restart marker, until the next segment begins.
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


class FileKind(NamedTuple):
    """What a file is. `facts` of an image are its `width` and `height` in pixels."""

    media_type: str
    facts: Mapping[str, int]


def detect_kind(data: Data, *, filename: str, declared: str | None = None) -> FileKind:
    """What this content is. The name and the client's declared type only choose among texts, or contradict the content.

    Raises `UnsupportedFile`, and `InvalidRequest` for an empty file or an image that is too large.
    """
    if not len(data):
        raise InvalidRequest("The file is empty.", loc=("file",))
    extension = PurePosixPath(filename).suffix.lstrip(".").lower()
    declared = (declared or "").partition(";")[0].strip().lower()
    if extension in _ACTIVE_EXTENSIONS or declared in _ACTIVE_TYPES:
        raise _unsupported("Pages and drawings that a browser would run are not accepted")
    kind = _image(data) or _document(data) or FileKind(_text_type(data, extension, declared), {})
    said = {family for family, extensions in _EXTENSIONS.items() if extension in extensions}
    if declared.startswith(("image/", "text/")) or declared in {PDF, DOCX, *TEXTS}:
        said.add(_family_of(declared))
    if said - {_family_of(kind.media_type)}:
        raise UnsupportedFile(f"The name or the declared type contradicts the content, which is {kind.media_type}.")
    return kind


def _unsupported(reason: str) -> UnsupportedFile:
    return UnsupportedFile(f"{reason}. Accepted are {_ACCEPTED}.")


def _family_of(media_type: str) -> str:
    if media_type.startswith("image/"):
        return "image"
    return "text" if media_type.startswith("text/") or media_type in TEXTS else media_type


def _image(data: Data) -> FileKind | None:
    found = find_image(data)
    if found is None:
        return None
    media_type, image = found
    if max(image.width, image.height) > MAX_EDGE or image.width * image.height > MAX_PIXELS:
        limits = f"The image is larger than {MAX_PIXELS} pixels, or than {MAX_EDGE} on one side."
        raise InvalidRequest(limits, loc=("file",))
    overlap = max(map(len, _HIDDEN))
    chunks = (data[start : start + _CHUNK_BYTES + overlap].lower() for start in range(0, len(data), _CHUNK_BYTES))
    has_page = any(word in chunk for chunk in chunks for word in _HIDDEN)
    if has_page or _PDF_HEADER.search(data, 0, _PDF_HEAD) or _archive_at_end(data) is not None:
        raise UnsupportedFile("The image contains a file of another kind.")
    return FileKind(media_type, {"width": image.width, "height": image.height})


def _document(data: Data) -> FileKind | None:
    if _PDF_HEADER.match(data):
        if _archive_at_end(data) is not None:
            raise UnsupportedFile("The PDF is an archive at the same time.")
        return FileKind(PDF, {})
    if data[:4] == b"PK\x03\x04":
        _check_docx(data)
        return FileKind(DOCX, {})
    return None


def _archive_at_end(data: Data) -> tuple[int, int] | None:
    """The number of entries and the size of the directory of a ZIP archive that ends where the data ends.

    A Zip64 archive states them elsewhere, and no document needs that: it counts as too large.
    """
    at = data.rfind(b"PK\x05\x06", max(0, len(data) - _MAX_COMMENT - 22))
    if at < 0 or at + 22 > len(data):
        return None
    entries, directory_bytes, _start, comment_bytes = struct.unpack_from("<HIIH", data, at + 10)
    if at + 22 + comment_bytes != len(data):
        return None
    is_zip64 = data[max(0, at - 20) : at].startswith(b"PK\x06\x07")
    return (_MAX_ENTRIES + 1 if is_zip64 else entries), directory_bytes


def _check_docx(data: Data) -> None:
    """Raises `UnsupportedFile` for what is no Word document, `InvalidRequest` for one that unpacks to too much."""
    no_document = _unsupported("Archives are not accepted")
    directory = _archive_at_end(data)
    if directory is None:
        raise no_document
    entries, directory_bytes = directory
    if directory_bytes > _MAX_DIRECTORY or entries > _MAX_ENTRIES:
        raise UnsupportedFile("The document has too many parts.")
    try:
        file: Any = io.BytesIO(data) if isinstance(data, bytes) else data
        with zipfile.ZipFile(file) as archive:
            if sum(info.file_size for info in archive.infolist()) > _MAX_UNPACKED:
                raise InvalidRequest(f"The document unpacks to more than {_MAX_UNPACKED} bytes.", loc=("file",))
            names = set(archive.namelist())
            if not {"[Content_Types].xml", "word/document.xml"} <= names:
                raise no_document
            with archive.open("[Content_Types].xml") as types:
                content_types = types.read(_MAX_CONTENT_TYPES)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise UnsupportedFile("The document is a broken or an encrypted archive.") from error
    if not _MAIN_DOCUMENT.search(content_types) or any(name.startswith("word/vbaProject") for name in names):
        raise no_document


def _text_type(data: Data, extension: str, declared: str) -> str:
    if not _is_utf8(data):
        raise _unsupported("Files of this kind are not accepted")
    head = bytes(data[:_HEAD])
    begins = head[_BEFORE_TAG.match(head).end() :]  # type: ignore[union-attr]  # it matches the empty text, too
    is_markdown = extension in {"md", "markdown"} or declared == "text/markdown"
    if _PAGE.match(begins) or (_TAG.match(begins) and not is_markdown):
        raise _unsupported("HTML, SVG and XML are not accepted")
    if is_markdown:
        return "text/markdown"
    if extension == "csv" or declared == "text/csv":
        return "text/csv"
    is_declared_json = extension == "json" or declared == "application/json"
    return "application/json" if _is_json(data, is_declared=is_declared_json) else PLAIN_TEXT


def _is_utf8(data: Data) -> bool:
    """Whether all of it is text in UTF-8. It is decoded in chunks, so that other threads can run in between."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _CHUNK_BYTES):
            chunk = data[start : start + _CHUNK_BYTES]
            if _CONTROL.search(chunk):
                return False
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _is_json(data: Data, *, is_declared: bool) -> bool:
    if data[:1] not in {b"{", b"["}:
        return False
    if len(data) > _SMALL_JSON:
        return is_declared  # parsing a large file takes much more memory than its text
    try:
        orjson.loads(bytes(data))
    except ValueError:
        return False
    return True


class Image(NamedTuple):
    """The size of an image in pixels, 0 if there are no pixels, and where its bytes end."""

    width: int
    height: int
    end: int


def _read_png(data: Data) -> Image | None:
    """The size is in its header."""
    width, height = struct.unpack_from(">II", data, 16) if data[12:16] == b"IHDR" else (0, 0)
    at, has_pixels = 8, False
    for _ in range(_MAX_CHUNKS):
        length, kind = struct.unpack_from(">I4s", data, at)
        at += 12 + length
        has_pixels = has_pixels or kind == b"IDAT"
        if kind == b"IEND":
            return Image(width * has_pixels, height, at)
        if not kind.isalpha():
            break
    return None


def _read_jpeg(data: Data) -> Image | None:
    """The size is in its frame headers: the largest counts."""
    at, width, height, has_pixels = 2, 0, 0, False
    for _ in range(_MAX_CHUNKS):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        at += 2
        if marker == 0xD9:
            return Image(width * has_pixels, height, at)
        if marker in _STANDALONE:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if marker in _SIZED_FRAMES:
            frame_height, frame_width = struct.unpack_from(">HH", data, at + 3)
            width, height = max(width, frame_width), max(height, frame_height)
        at += length
        if marker == 0xDA:
            has_pixels = True
            following = _AFTER_SCAN.search(data, at)
            if following is None:
                break
            at = following.start()
    return None


def _read_gif(data: Data) -> Image | None:
    """The size is that of its screen, or of its largest frame."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at, has_pixels, in_blocks = 13 + _color_table_bytes(flags), False, False
    for _ in range(_MAX_CHUNKS):
        first = data[at]
        if in_blocks:
            at, in_blocks = at + 1 + first, first > 0
        elif first == 0x2C:
            frame_width, frame_height, flags = struct.unpack_from("<HHB", data, at + 5)
            width, height, has_pixels = max(width, frame_width), max(height, frame_height), True
            at, in_blocks = at + 11 + _color_table_bytes(flags), True
        elif first == 0x21:
            at, in_blocks = at + 2, True
        elif first == 0x3B:
            return Image(width * has_pixels, height, at + 1)
        else:
            break
    return None


def _color_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _read_webp(data: Data) -> Image | None:
    """The size is the larger of those of its canvas and of its bitstream."""
    end = 8 + int.from_bytes(data[4:8], "little")
    at, width, height, has_pixels = 12, 0, 0, False
    for _ in range(_MAX_CHUNKS):
        if at in {end - 1, end}:
            return Image(width * has_pixels, height, end)
        if at > end:
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        chunk_width, chunk_height = _webp_size(data, kind, at + 8)
        width, height = max(width, chunk_width), max(height, chunk_height)
        has_pixels = has_pixels or kind in {b"VP8 ", b"VP8L", b"ANMF"}
        at += 8 + length + length % 2
    return None


def _webp_size(data: Data, kind: bytes, at: int) -> tuple[int, int]:
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[at + 4 : at + 7], "little"), 1 + int.from_bytes(data[at + 7 : at + 10], "little")
    if kind == b"VP8L" and data[at] == 0x2F:
        bits = int.from_bytes(data[at + 1 : at + 5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and data[at + 3 : at + 6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, at + 6)
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


_READERS: tuple[tuple[re.Pattern[bytes], str, Callable[[Data], Image | None]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png", _read_png),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg", _read_jpeg),
    (re.compile(rb"GIF8[79]a"), "image/gif", _read_gif),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp", _read_webp),
)


def find_image(data: Data) -> tuple[str, Image] | None:
    """The media type and the size of an image; None if the data does not begin like one.

    Raises `UnsupportedFile` if it begins like an image and is broken, has no pixels, or if other bytes follow its end.
    """
    for beginning, media_type, read in _READERS:
        if beginning.match(data):
            with suppress(struct.error, IndexError):
                image = read(data)
                if image is not None and _is_complete(data, image, may_continue=media_type == "image/jpeg"):
                    return media_type, image
            raise UnsupportedFile("The image is broken, or other data follows it.")
    return None


def _is_complete(data: Data, image: Image, *, may_continue: bool) -> bool:
    if not image.width or not image.height or image.end > len(data):
        return False
    if len(data) - image.end <= _MAX_PADDING and not data[image.end :].strip(_PADDING):
        return True
    begins = data[image.end : image.end + _MAX_PADDING].lstrip(_PADDING[:1])
    # Before the name of a video's first box stands its length, whose leading zeros are stripped.
    is_from_camera = begins[:3] == b"\xff\xd8\xff" or b"ftyp" in begins[:8] or data[-4:] == _CAMERA_NOTES
    return may_continue and is_from_camera
