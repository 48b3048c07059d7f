"""Reads the size of an image and where its bytes end, from its structure alone: nothing is decompressed.

An image is refused if its structure is broken, or if other bytes follow its end.
Sources: https://www.w3.org/TR/png-3/, https://www.w3.org/Graphics/JPEG/itu-t81.pdf (annex B),
https://www.w3.org/Graphics/GIF/spec-gif89a.txt, https://developers.google.com/speed/webp/docs/riff_container, all read
2026-11-22.
"""

import re
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from ai_agents.attachments.staging import Data
from ai_agents.core.exceptions import UnsupportedFile

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
    return _is_padding(data, image.end) or (may_continue and _is_from_camera(data, image.end))


def _is_padding(data: Data, start: int) -> bool:
    return len(data) - start <= _MAX_PADDING and not data[start:].strip(_PADDING)


def _is_from_camera(data: Data, start: int) -> bool:
    begins = data[start : start + _MAX_PADDING].lstrip(_PADDING[:1])
    # Before the name of a video's first box stands its length, whose leading zeros are stripped.
    return begins[:3] == b"\xff\xd8\xff" or b"ftyp" in begins[:8] or data[-4:] == _CAMERA_NOTES
