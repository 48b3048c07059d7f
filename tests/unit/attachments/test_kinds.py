"""What files are, told from their content."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.attachments.kinds import DOCX, IMAGES, MAX_PIXELS, PDF, TEXTS, detect_kind, find_image
from ai_agents.core.exceptions import InvalidRequest, UnsupportedFile
from tests.fakes import samples

PICTURES = {
    "image/png": (samples.png(3, 2), 3, 2),
    "image/jpeg": (samples.jpeg(32, 16), 32, 16),
    "image/gif": (samples.gif(4, 5), 4, 5),
    "image/webp": (samples.webp(6, 7), 6, 7),
}


@pytest.mark.parametrize("media_type", PICTURES)
def test_a_picture_of_any_name_is_recognized_with_its_size(media_type: str) -> None:
    data, width, height = PICTURES[media_type]
    for name, declared in (("a", None), ("a.png", "image/jpeg"), ("a.webp", "application/octet-stream")):
        kind = detect_kind(data, filename=name, declared=declared)
        assert kind.media_type == media_type
        assert kind.facts == {"width": width, "height": height}


@pytest.mark.parametrize("media_type", PICTURES)
def test_a_picture_that_ends_early_or_goes_on_is_none(media_type: str) -> None:
    data = PICTURES[media_type][0]
    for length in range(13, len(data)):
        if data[:length] != data.rstrip(b"\0"):
            with pytest.raises(UnsupportedFile):
                detect_kind(data[:length], filename="a")
    with pytest.raises(UnsupportedFile):
        detect_kind(data + b"and more", filename="a")
    assert detect_kind(data + b"\0\0\r\n", filename="a").media_type == media_type


def test_what_cameras_put_behind_a_photograph_is_let_be() -> None:
    photograph = samples.jpeg()
    film = struct.pack(">I", 24) + b"ftypmp42" + bytes(12)
    for more in (samples.jpeg(8, 8), b"\0" * 100 + samples.jpeg(8, 8), film, b"notes of the camera's own SEFT"):
        assert detect_kind(photograph + more, filename="a.jpg").facts == {"width": 32, "height": 16}


@pytest.mark.parametrize(
    "data",
    [
        samples.png(50_000, 50_000),
        samples.png(40_000, 1),
        samples.jpeg(65_535, 65_535),
        samples.gif(65_535, 65_535),
        samples.webp(16_384, 16_384),
    ],
    ids=["png", "png of one row", "jpeg", "gif", "webp"],
)
def test_a_picture_of_too_many_pixels_is_refused_with_the_limit(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match=str(MAX_PIXELS)) as refused:
        detect_kind(data, filename="a")
    assert refused.value.loc == ("file",)


def test_a_large_frame_in_a_small_gif_counts() -> None:
    small = samples.gif(4, 5)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + b"\x02\x02\x4c\x01\x00"
    with pytest.raises(InvalidRequest):
        detect_kind(small[:-1] + frame + b";", filename="a.gif")


def test_a_webp_has_the_larger_of_its_canvas_and_its_bitstream() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return kind + struct.pack("<I", len(data)) + data

    def webp(*chunks: bytes) -> bytes:
        body = b"WEBP" + b"".join(chunks)
        return b"RIFF" + struct.pack("<I", len(body)) + body

    bitstream = chunk(b"VP8 ", bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", 9, 5) + bytes(2))
    canvas = chunk(b"VP8X", bytes(4) + (7).to_bytes(3, "little") + (5).to_bytes(3, "little"))
    assert detect_kind(webp(bitstream), filename="a").facts == {"width": 9, "height": 5}
    assert detect_kind(webp(canvas, bitstream), filename="a").facts == {"width": 9, "height": 6}
    with pytest.raises(UnsupportedFile):
        detect_kind(webp(canvas), filename="a")


@given(st.sampled_from([data for data, _, _ in PICTURES.values()]), st.data())
def test_no_damage_to_a_picture_makes_the_reader_fail(data: bytes, draw: st.DataObject) -> None:
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 4))):
        damaged[draw.draw(st.integers(0, len(damaged) - 1))] = draw.draw(st.integers(0, 255))
    try:
        found = find_image(bytes(damaged))
    except UnsupportedFile:
        return
    assert found is None or (found[0] in IMAGES and found[1].width > 0 and found[1].height > 0)


@given(st.binary(max_size=200), st.sampled_from(["a.png", "a.txt", "a.docx", "a", "a.md"]))
def test_any_bytes_are_one_kind_or_refused(data: bytes, name: str) -> None:
    try:
        kind = detect_kind(data, filename=name)
    except (UnsupportedFile, InvalidRequest):
        return
    assert kind.media_type in {*IMAGES, *TEXTS, PDF, DOCX}


@pytest.mark.parametrize(
    "name, declared, data, media_type",
    [
        ("a.txt", None, b"Hello", "text/plain"),
        ("README", None, b"Hello", "text/plain"),
        ("README.md", None, b"<p align=center>Hello</p>\n# Title", "text/markdown"),
        ("notes", "text/markdown; charset=utf-8", b"<!-- by me -->\n# Title", "text/markdown"),
        ("a.csv", "application/vnd.ms-excel", b"a;b", "text/csv"),
        ("a", "text/csv", b"a;b", "text/csv"),
        ("a.json", None, b'{"a": [1]}', "application/json"),
        ("a", None, b"[1]", "application/json"),
        ("a.json", None, b'{"a": ', "text/plain"),
        ("a.log", None, b"\x1b[31mred\x1b[0m\n", "text/plain"),
        ("a.py", "text/x-python", b"if a < b: pass", "text/plain"),
        ("a.ts", "video/mp2t", b"const a = 1", "text/plain"),
        ("a.txt", None, b"a < b and c > d", "text/plain"),
        ("a.txt", None, b"<3", "text/plain"),
        ("a.pdf", "application/pdf", b"%PDF-1.7 and so on", PDF),
        ("a.docx", None, samples.docx("x"), DOCX),
        ("upload.bin", None, samples.docx("x"), DOCX),
    ],
)
def test_names_and_types_choose_only_among_texts(name: str, declared: str | None, data: bytes, media_type: str) -> None:
    assert detect_kind(data, filename=name, declared=declared).media_type == media_type


@pytest.mark.parametrize(
    "name, declared, data",
    [
        ("a.png", None, b"Hello"),
        ("a.pdf", None, b"Hello"),
        ("a.txt", None, samples.png()),
        ("a.csv", None, b"%PDF-1.4"),
        ("a.docx", None, samples.png()),
        ("a", "image/png", b"%PDF-1.4"),
        ("a", "text/plain", samples.gif()),
        ("a", "application/pdf", samples.docx("x")),
        ("a.txt", "text/html", b"Hello"),
        ("a", "image/svg+xml", b"Hello"),
        ("a.xhtml", None, b"Hello"),
        ("a.SVG", None, b"Hello"),
    ],
)
def test_content_that_is_not_what_it_is_said_to_be_is_refused(name: str, declared: str | None, data: bytes) -> None:
    with pytest.raises(UnsupportedFile):
        detect_kind(data, filename=name, declared=declared)


def test_a_document_that_would_unpack_to_too_much_is_refused_without_unpacking_it() -> None:
    bomb = samples.archive(
        {"[Content_Types].xml": samples.CONTENT_TYPES, "word/document.xml": "<a/>", "word/media/a": bytes(1 << 20)}
    )
    # The directory's own words count: what it says that the part unpacks to.
    where = bomb.rindex(b"PK\x01\x02")
    lying = bytearray(bomb)
    lying[where + 24 : where + 28] = struct.pack("<I", 1 << 30)
    with pytest.raises(InvalidRequest, match="unpacks"):
        detect_kind(bytes(lying), filename="a.docx")


def test_an_archive_with_more_parts_than_a_document_has_is_refused() -> None:
    parts: dict[str, str | bytes] = {f"word/{number}": b"" for number in range(10_001)}
    parts |= {"[Content_Types].xml": samples.CONTENT_TYPES, "word/document.xml": "<a/>"}
    with pytest.raises(UnsupportedFile):
        detect_kind(samples.archive(parts), filename="a.docx")


def test_an_archive_that_states_the_number_of_its_parts_elsewhere_is_refused() -> None:
    document = samples.docx("x")
    end = document.rindex(b"PK\x05\x06")
    start, length = document.index(b"PK\x01\x02"), end - document.index(b"PK\x01\x02")
    count = struct.unpack_from("<H", document, end + 10)[0]
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    with pytest.raises(UnsupportedFile, match="too many parts"):
        detect_kind(document[:end] + record + locator + document[end:], filename="a.docx")
