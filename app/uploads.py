"""Uploads: `multipart/form-data` with one field `file`, written to the storage's folder while it arrives."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import unquote

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ai_agents.attachments.arriving import ArrivingFile
from ai_agents.attachments.files import Attachments
from ai_agents.attachments.staging import IncomingFile
from ai_agents.core.types import JsonObject
from ai_agents.store import idempotency
from app.dependencies import refuse_compressed
from app.errors import InvalidFields, PayloadTooLarge, UnsupportedMediaType
from app.services.files import RoomForFile, Upload

MEDIA_TYPE = "multipart/form-data"
FIELD = "file"
# How much the form may add to the file: boundaries and headers.
_FORM_BYTES = 64 * 1024
_MAX_NAME_SHOWN = 100
# Of a part. Browsers and libraries send two or three short ones.
_MAX_HEADERS = 8
_MAX_HEADER_BYTES = 4096
# How browsers and libraries write characters that a quoted name cannot hold.
_ESCAPED = re.compile("%(?:0[0-9A-F]|1[0-9A-F]|22|7F)", re.IGNORECASE)


def fingerprint(request: Request, upload: Upload) -> str:
    """A hash of the request for its idempotency key. The form's boundary differs each time, so the file counts."""
    said = "\0".join((upload.filename, upload.declared or "", upload.staged.sha256))
    return idempotency.fingerprint(request.method, request.scope["path"], said.encode())


@asynccontextmanager
async def read_upload(request: Request, room: RoomForFile) -> AsyncGenerator[Upload]:
    """The file of the request, kept as long as the context lasts.

    Raises `UnsupportedMediaType` for another kind of body, `PayloadTooLarge`, `FileTooLarge`, `QuotaExceeded` where the
    user has no room for it, `StorageUnavailable`, and `InvalidFields` for any other mistake in the form.
    """
    attachments: Attachments = request.app.state.container.attachments
    boundary = _boundary(request)
    limit = attachments.max_bytes + _FORM_BYTES
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise PayloadTooLarge(f"A file may have at most {attachments.max_bytes} bytes.")
    with (
        attachments.arriving.begin(room.user_id, used=room.used, most=room.most) as arriving,
        attachments.receive() as incoming,
    ):
        if declared.isdecimal():
            arriving.require(int(declared[:20]) - _FORM_BYTES)
        form = _UploadForm(boundary, incoming, arriving)
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise PayloadTooLarge(f"A file may have at most {attachments.max_bytes} bytes.")
            form.feed(chunk)
        filename, media_type = form.finish()
        yield Upload(await incoming.finish(), filename, media_type, arriving)


class _UploadForm:
    """Parses a form chunk by chunk. The first mistake in it raises an error."""

    def __init__(self, boundary: bytes, incoming: IncomingFile, arriving: ArrivingFile) -> None:
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._filename: str | None = None
        self._declared: str | None = None
        self._ended = False
        self._incoming = incoming
        self._arriving = arriving
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._begin_part,
                    "on_part_data": self._write,
                    "on_end": self._end,
                },
                max_header_count=_MAX_HEADERS,
                max_header_size=_MAX_HEADER_BYTES,
            )
        except FormParserError:
            raise _broken() from None

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise _broken() from None

    def finish(self) -> tuple[str, str | None]:
        """The name of the file and the media type that the client declared. Raises `InvalidFields`."""
        if not self._ended:
            raise _broken()
        if self._filename is None:
            raise _wrong("is missing", FIELD)
        return self._filename, self._declared

    def _write(self, data: bytes, start: int, end: int) -> None:
        self._arriving.take(end - start)
        self._incoming.write(memoryview(data)[start:end])

    def _end(self) -> None:
        self._ended = True

    def _end_header(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _begin_part(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name != FIELD:
            raise _wrong("is not a field of this form", name[:_MAX_NAME_SHOWN])
        if self._filename is not None:
            raise _wrong("is there twice", FIELD)
        if self._headers.get(b"content-transfer-encoding", b"binary").strip().lower() not in {b"binary", b"8bit"}:
            raise _wrong("is encoded, which forms on the web are not", FIELD)
        if not options.get(b"filename"):
            raise _wrong("is a text and no file: it has no name", FIELD)
        self._filename = _decode_name(options[b"filename"])
        self._declared = self._headers.get(b"content-type", b"").decode("latin-1") or None


def _boundary(request: Request) -> bytes:
    media_type, options = parse_options_header(request.headers.get("content-type", ""))
    if media_type != MEDIA_TYPE.encode():
        raise UnsupportedMediaType(f"Only {MEDIA_TYPE} is read here.")
    refuse_compressed(request)
    if not options.get(b"boundary"):
        raise _broken()
    return options[b"boundary"]


def _decode_name(raw: bytes) -> str:
    try:
        return _ESCAPED.sub(lambda found: unquote(found[0]), raw.decode())
    except UnicodeDecodeError:
        raise _wrong("has a name that is not UTF-8", FIELD, "filename") from None


def _broken() -> InvalidFields:
    return InvalidFields([{"loc": ["body"], "msg": "is not multipart/form-data that can be read"}])


def _wrong(message: str, *loc: str) -> InvalidFields:
    error: JsonObject = {"loc": ["body", *loc], "msg": message}
    return InvalidFields([error])
