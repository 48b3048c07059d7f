"""Pictures looked at from outside: where they end and how large they would be, from their structure alone.

Nothing is decompressed. A picture is refused where its structure is broken, or where it is over and the bytes go on.
Sources: https://www.w3.org/TR/png-3/, https://www.w3.org/Graphics/JPEG/itu-t81.pdf (annex B),
https://www.w3.org/Graphics/GIF/spec-gif89a.txt, https://developers.google.com/speed/webp/docs/riff_container, all read
2026-11-22.
"""

import re
import struct
from collections.abc import Callable
from mmap import mmap
from typing import NamedTuple

Data = bytes | mmap
# Chunks, segments or blocks that a picture may have: far more than any writer makes of 20 MiB, few enough to walk.
_MAX_PIECES = 300_000
# What careless writers leave at the end.
_PADDING = b"\0\r\n\t "
# What cameras put behind a JPEG: further pictures, a film, notes of their own with this at their end.
_CAMERAS_NOTES = b"SEFT"
_MAX_PADDING = 4096
_SIZED_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
# Within a scan every 0xFF is followed by 0 or a restart mark until the next segment begins.
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


class Malformed(ValueError):
    """It begins like a picture of this kind and is none."""


class Picture(NamedTuple):
    """How large a picture is, in pixels, and where its bytes end."""

    width: int
    height: int
    end: int


def read_png(data: Data) -> Picture:
    """The size in its header. Raises `Malformed`."""
    width, height = struct.unpack_from(">II", data, 16) if data[12:16] == b"IHDR" else (0, 0)
    at, has_pixels = 8, False
    for _ in range(_MAX_PIECES):
        length, kind = struct.unpack_from(">I4s", data, at)
        if length > 0x7FFFFFFF or not kind.isalpha():
            break
        has_pixels = has_pixels or kind == b"IDAT"
        at += 12 + length
        if at > len(data):
            break
        if kind == b"IEND":
            if not has_pixels:
                break
            return Picture(width, height, at)
    raise Malformed


def read_jpeg(data: Data) -> Picture:
    """The size in its frame header. Raises `Malformed`."""
    at, size, scanned = 2, (0, 0), False
    for _ in range(_MAX_PIECES):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        at += 2
        if marker == 0xD9:
            if not scanned:
                break
            return Picture(*size, at)
        if marker in _STANDALONE:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if marker in _SIZED_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            size = (max(size[0], width), max(size[1], height))
        at += length
        if marker == 0xDA:
            scanned = True
            following = _AFTER_SCAN.search(data, at)
            if following is None:
                break
            at = following.start()
    raise Malformed


def read_gif(data: Data) -> Picture:
    """The size of its screen, or of its largest frame. Raises `Malformed`."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + _colors(flags)
    has_pixels, pieces = False, 0
    while pieces < _MAX_PIECES:
        introducer = data[at]
        if introducer == 0x3B:
            if not has_pixels:
                break
            return Picture(width, height, at + 1)
        if introducer == 0x2C:
            frame_width, frame_height, frame_flags = struct.unpack_from("<HHB", data, at + 5)
            width, height, has_pixels = max(width, frame_width), max(height, frame_height), True
            at += 11 + _colors(frame_flags)
        elif introducer == 0x21:
            at += 2
        else:
            break
        while (length := data[at]) and pieces < _MAX_PIECES:
            at += 1 + length
            pieces += 1
        at += 1
        pieces += 1
    raise Malformed


def read_webp(data: Data) -> Picture:
    """The larger of the sizes that its canvas and its bitstream tell. Raises `Malformed`."""
    (length,) = struct.unpack_from("<I", data, 4)
    end = 8 + length
    at, width, height, has_pixels = 12, 0, 0, False
    for _ in range(_MAX_PIECES):
        if at == end or at + 1 == end:
            break
        kind, size = struct.unpack_from("<4sI", data, at)
        found = _webp_size(data, kind, at + 8)
        width, height = max(width, found[0]), max(height, found[1])
        has_pixels = has_pixels or kind in {b"VP8 ", b"VP8L", b"ANMF"}
        at += 8 + size + size % 2
        if at > end + 1:
            raise Malformed
    if end > len(data) or not has_pixels:
        raise Malformed
    return Picture(width, height, end)


def _colors(flags: int) -> int:
    """The length of a GIF's color table."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


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


_READERS: tuple[tuple[re.Pattern[bytes], str, Callable[[Data], Picture]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png", read_png),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg", read_jpeg),
    (re.compile(rb"GIF8[79]a"), "image/gif", read_gif),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp", read_webp),
)


def find_picture(data: Data) -> tuple[str, Picture] | None:
    """The media type and the measures of a picture; None where the data does not begin like one.

    Raises `Malformed` where it begins like one and is broken, has no size, or goes on after its end. Only behind a JPEG
    more may come, as cameras put further pictures and films there.
    """
    found = next((each for each in _READERS if each[0].match(data)), None)
    if found is None:
        return None
    _, media_type, read = found
    try:
        picture = read(data)
    except (struct.error, IndexError) as error:
        raise Malformed from error
    may_follow = _is_padding(data, picture.end) or (media_type == "image/jpeg" and _is_cameras(data, picture.end))
    if not may_follow or picture.width < 1 or picture.height < 1:
        raise Malformed
    return media_type, picture


def _is_padding(data: Data, start: int) -> bool:
    return len(data) - start <= _MAX_PADDING and not data[start:].strip(_PADDING)


def _is_cameras(data: Data, start: int) -> bool:
    begins = data[start : start + _MAX_PADDING].lstrip(_PADDING[:1])
    # Before the name of a film's first box stands its length, whose zeros may be gone by now.
    return begins[:3] == b"\xff\xd8\xff" or b"ftyp" in begins[:8] or data[-4:] == _CAMERAS_NOTES
