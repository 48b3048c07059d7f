"""Hostile files, names and forms are refused, and leave nothing."""

import resource
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ai_agents.attachments.extraction import Extractor
from tests.api.files import MIB, kept_in, upload
from tests.api.service import Service, check_problem, open_service, settings_for
from tests.fakes import samples
from tests.support.stopwatch import Stopwatch

# What takes a while to make is made where it is used.
HOSTILE_FILES: dict[str, tuple[str, bytes | Callable[[], bytes]]] = {
    "a program": ("a.png", b"MZ\x90\x00\x03\x00\x00\x00" + bytes(100)),
    "a text that says to be a picture": ("a.png", b"I am a picture"),
    "a picture that says to be a text": ("a.txt", samples.png()),
    "a page": ("a.html", b"<!doctype html><script>alert(1)</script>"),
    "a page that says to be a text": ("a.txt", b"  <!-- x -->\n<HTML><script>alert(1)</script>"),
    "a page that says to be Markdown": ("a.md", b"<html>alert</html>"),
    "a drawing": ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'),
    "a drawing that says to be a picture": ("a.png", b'<?xml version="1.0"?><svg onload="alert(1)"/>'),
    "a drawing that says to be a text": ("a.txt", b'\xef\xbb\xbf<svg onload="alert(1)"/>'),
    "XML": ("a.txt", b'<?xml version="1.0"?><a/>'),
    "an archive": ("a.zip", samples.archive({"a.txt": "x"})),
    "a workbook": ("a.docx", samples.archive({"[Content_Types].xml": "<Types/>", "xl/workbook.xml": "<x/>"})),
    "a document with macros": (
        "a.docx",
        samples.docx("x", types="application/vnd.ms-word.document.macroEnabled.main+xml"),
    ),
    "a picture that is an archive, too": ("a.png", samples.png() + samples.archive({"a": "b"})),
    "a photograph that is an archive, too": ("a.jpg", samples.jpeg() + samples.archive({"a": "b"})),
    "an archive within a comment": ("a.gif", samples.gif()[:-1] + samples.archive({"a": "b"})),
    "a picture that is a page, too": ("a.jpg", samples.jpeg(comment=b"<script>alert(1)</script>")),
    "a picture that is a PDF, too": ("a.jpg", samples.jpeg(comment=b"%PDF-1.4")),
    "a GIF that is a script": ("a.gif", b"GIF89a/*" + b"x" * 30 + b"*/=1;alert(1)"),
    "a PDF that is an archive, too": ("a.pdf", samples.pdf("x") + samples.archive({"a": "b"})),
    "a cut picture": ("a.png", samples.png()[:-20]),
    "a cut photograph": ("a.jpg", samples.jpeg()[:-4]),
    "50 000 times 50 000 pixels": ("a.png", samples.png(50_000, 50_000)),
    "a photograph of 65 535 times 65 535 pixels": ("a.jpg", samples.jpeg(65_535, 65_535)),
    "no pixels": ("a.png", samples.png(0, 0)),
    "latin-1": ("a.txt", "grüße".encode("latin-1")),
    "UTF-16": ("a.txt", "hello".encode("utf-16")),
    "NUL in a text": ("a.txt", b"a\0b"),
    "nothing": ("a.txt", b""),
    "a PDF that is none": ("a.pdf", b"%PDF-1.7\n" + b"x" * 1000),
    "a PDF whose pages go in circles": ("a.pdf", samples.pdf("x").replace(b"/Kids [4 0 R]", b"/Kids [2 0 R]")),
    "a PDF that nests without end": ("a.pdf", samples.pdf("x", more=b"/X " + b"[" * 200_000)),
    "a PDF bomb": ("a.pdf", lambda: samples.pdf(b" " * (200 * MIB))),
    "a PDF that draws without end": ("a.pdf", lambda: samples.pdf(b"BT /F1 12 Tf (a) Tj ET " * 1_000_000)),
    "a document bomb": ("a.docx", lambda: samples.docx(body=b"<a>" + b" " * (200 * MIB) + b"</a>")),
    "a document that declares what grows": (
        "a.docx",
        samples.docx(body='<!DOCTYPE a [<!ENTITY b "cccc"><!ENTITY d "&b;&b;&b;">]><a>&d;</a>'),
    ),
    "a document without a body": ("a.docx", samples.docx(body="")),
}


@pytest.fixture
async def fenced(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """A service that stores all its files in one folder."""
    async with open_service(settings_for(sqlite_url, tmp_path / "var")) as opened:
        yield opened


@pytest.mark.parametrize("name, content", HOSTILE_FILES.values(), ids=HOSTILE_FILES)
async def test_a_hostile_file_is_refused(
    fenced: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes | Callable[[], bytes]
) -> None:
    monkeypatch.setattr(fenced.container.attachments, "_extractor", Extractor(time_limit_s=1))
    alice = await fenced.user("alice")
    content = content() if callable(content) else content
    before = set(kept_in(tmp_path))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    watch = Stopwatch()

    response = await upload(alice, content, name)

    assert watch.seconds < 15
    assert response.status_code in {415, 422}, response.text
    check_problem(response, response.status_code, response.json()["code"])
    assert {path for path in set(kept_in(tmp_path)) - before if path.suffix not in {".db-wal", ".db-shm"}} == set()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 64 * 1024


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..\\..\\boot.ini",
        "/etc/passwd",
        "..",
        ".",
        "a\0.txt",
        "a\n.txt",
        "a\r\nX-Evil: 1.txt",
        "x" * 5_000,
        "x" * 256,
        "   ",
        "txt.\u202egpj",
    ],
    ids=lambda name: repr(name[:20]),
)
async def test_a_hostile_name_is_refused_and_nothing_is_written(fenced: Service, tmp_path: Path, name: str) -> None:
    alice = await fenced.user("alice")
    before = set(kept_in(tmp_path))

    response = await upload(alice, b"Hello", name)

    check_problem(response, 422, "invalid_request")
    assert {path for path in set(kept_in(tmp_path)) - before if path.suffix not in {".db-wal", ".db-shm"}} == set()


FORM = "multipart/form-data; boundary=b"
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nHello\r\n'
END = b"--b--\r\n"
FIELD = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n'
BAD_FORMS: dict[str, tuple[str, bytes]] = {
    "no boundary": ("multipart/form-data", FILE + END),
    "another boundary": ("multipart/form-data; boundary=c", FILE + END),
    "an endless boundary": (f"multipart/form-data; boundary={'b' * 5000}", FILE + END),
    "no end": (FORM, FILE),
    "cut in the headers": (FORM, FILE[:40]),
    "nothing": (FORM, b""),
    "no file": (FORM, END),
    "no form": (FORM, b"Hello"),
    "a field": (FORM, FIELD + FILE + END),
    "a file twice": (FORM, FILE + FILE + END),
    "a text": (FORM, FILE.replace(b'; filename="a.txt"', b"") + END),
    "a part without a name": (FORM, FILE.replace(b'name="file"; ', b"") + END),
    "a part without headers": (FORM, b"--b\r\n\r\nHello\r\n" + END),
    "endless headers": (FORM, FILE.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 60_000 + b"\r\n\r\n", 1) + END),
    "a hundred headers": (FORM, FILE.replace(b"\r\n\r\n", b"\r\nX: x" * 100 + b"\r\n\r\n", 1) + END),
    "a name that is not UTF-8": (FORM, FILE.replace(b"a.txt", b"\xff.txt") + END),
    "a raw NUL in the name": (FORM, FILE.replace(b"a.txt", b"a\0.txt") + END),
    "base64": (FORM, FILE.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n", 1) + END),
}


@pytest.mark.parametrize("media_type, body", BAD_FORMS.values(), ids=BAD_FORMS)
async def test_a_bad_form_leaves_nothing(fenced: Service, tmp_path: Path, media_type: str, body: bytes) -> None:
    alice = await fenced.user("alice")

    response = await alice.post("/files", content=body, headers={"content-type": media_type})

    check_problem(response, 422, "invalid_request")
    assert kept_in(tmp_path / "var" / "files") == []


@pytest.mark.parametrize("media_type", ["application/json", "application/x-www-form-urlencoded", "text/plain", ""])
async def test_a_body_that_is_not_a_form_is_unsupported(fenced: Service, media_type: str) -> None:
    alice = await fenced.user("alice")

    response = await alice.post(
        "/files", content=FILE + END, headers={"content-type": media_type} if media_type else {}
    )

    check_problem(response, 415, "unsupported_media_type")


async def test_a_file_beyond_the_limit_is_refused_with_and_without_a_length(sqlite_url: str, tmp_path: Path) -> None:
    async with open_service(settings_for(sqlite_url, tmp_path, max_file_bytes=100_000)) as service:
        alice = await service.user("alice")

        async def endless() -> AsyncIterator[bytes]:
            yield FILE[:-2]
            for _ in range(1000):
                yield b"x" * 10_000

        just = await upload(alice, b"x" * 100_000)
        more = await upload(alice, b"x" * 100_001)
        announced = await upload(alice, b"x" * 1_000_000)
        unannounced = await alice.post("/files", content=endless(), headers={"content-type": FORM})

        assert just.status_code == 201, just.text
        for refused in (more, announced, unannounced):
            assert "100000 bytes" in check_problem(refused, 413, "payload_too_large")["detail"]
        assert len(kept_in(tmp_path / "files")) == 1


async def test_a_key_of_a_refused_upload_stays_unused(small_service: Service) -> None:
    alice = await small_service.user("alice")
    key = {"Idempotency-Key": "k"}

    check_problem(await upload(alice, b"a\0", **key), 415, "unsupported_media_type")

    assert (await upload(alice, b"a", **key)).status_code == 201
