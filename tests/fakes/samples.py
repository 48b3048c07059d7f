"""Small files of every accepted kind, and of some refused ones, built from scratch."""

import io
import struct
import zipfile
import zlib

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
STRICT_WORD = "http://purl.oclc.org/ooxml/wordprocessingml/main"
CONTENT_TYPES = f'<Types><Override PartName="/word/document.xml" ContentType="{DOCX}.main+xml"/></Types>'


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int = 3, height: int = 2, *chunks: bytes) -> bytes:
    """A PNG whose header has this size, with further chunks before its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = b"".join(b"\0" + bytes(min(width, 10)) for _ in range(min(height, 10)))
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + chunk(b"IEND")


def jpeg(width: int = 32, height: int = 16, comment: bytes = b"") -> bytes:
    """The structure of a JPEG, without an image."""
    start = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    said = b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment if comment else b""
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    scan = b"\xff\xda" + struct.pack(">HB", 8, 1) + b"\x01\x00\x00\x3f\x00" + b"\x12\xff\x00\x34\xff\xd0\x56"
    return start + said + frame + scan + b"\xff\xd9"


def gif(width: int = 4, height: int = 5) -> bytes:
    """A GIF of one frame."""
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00"
    return b"GIF89a" + screen + b"\x21\xf9\x04\x00\x00\x00\x00\x00" + frame + b";"


def webp(width: int = 6, height: int = 7) -> bytes:
    """The header of a lossless WebP."""
    bits = (width - 1) | (height - 1) << 14
    data = b"\x2f" + struct.pack("<I", bits) + b"\0\0\0"
    body = b"WEBP" + b"VP8L" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pdf(*pages: str | bytes, more: bytes = b"") -> bytes:
    """A PDF with a page for each text. Bytes are the content of a page, and are compressed."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R " + more + b" >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, page in enumerate(pages):
        fonts = "/Resources << /Font << /F1 3 0 R >> >>"
        told = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {fonts} /Contents {5 + 2 * number} 0 R >>"
        if isinstance(page, bytes):
            content, how = zlib.compress(page, 9), b" /Filter /FlateDecode"
        else:
            content, how = f"BT /F1 12 Tf 72 720 Td ({page}) Tj ET".encode(), b""
        objects += [told.encode(), b"<< /Length %d%s >>\nstream\n%s\nendstream" % (len(content), how, content)]
    made, places = bytearray(b"%PDF-1.4\n"), []
    for number, each in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(made))
    return bytes(made + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + end)


def docx(*paragraphs: str, body: str | bytes | None = None, types: str = CONTENT_TYPES) -> bytes:
    """A Word document with these paragraphs, or with this body."""
    if body is None:
        said = "".join(f"<w:p><w:r><w:t>{each}</w:t></w:r></w:p>" for each in paragraphs)
        body = f'<?xml version="1.0"?><w:document xmlns:w="{WORD}"><w:body>{said}</w:body></w:document>'
    return archive({"[Content_Types].xml": types, "word/document.xml": body})


def archive(parts: dict[str, str | bytes]) -> bytes:
    """A ZIP archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return made.getvalue()
