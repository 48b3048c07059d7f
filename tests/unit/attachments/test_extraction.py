"""The text of documents, drawn within limits."""

import asyncio
import os
import tempfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest

from ai_agents.attachments.extraction import MAX_TEXT_CHARACTERS, Extracted, Extractor, beginning_of
from ai_agents.attachments.kinds import DOCX, PDF
from ai_agents.core.exceptions import InvalidRequest, TooManyAtOnce
from tests.fakes import samples

MIB = 1 << 20


async def extract(content: bytes, media_type: str, **limits: int) -> Extracted:
    """The text of a document with this content."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        return await Extractor(**limits).extract(file, media_type)


async def test_a_pdf_gives_the_text_of_its_pages_and_how_many_they_are() -> None:
    assert await extract(samples.pdf("Page one", "Page two"), PDF) == Extracted("Page one\n\nPage two", 2, cut=False)


async def test_a_scan_has_pages_and_no_text() -> None:
    assert await extract(samples.pdf(b"q Q"), PDF) == Extracted("", 1, cut=False)


async def test_a_broken_page_does_not_spoil_the_others() -> None:
    content = samples.pdf("one", b"not compressed", "three").replace(zlib.compress(b"not compressed", 9), b"x" * 22)
    found = await extract(content, PDF)
    assert (found.pages, found.text) == (3, "one\n\n\n\nthree")


async def test_a_document_gives_its_paragraphs_and_tables_as_lines() -> None:
    body = f"""<w:document xmlns:w="{samples.WORD}"><w:body>
    <w:p><w:r><w:t>One</w:t><w:tab/><w:t>more &amp; less</w:t><w:br/><w:t>line</w:t></w:r></w:p>
    <w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:ins><w:r><w:t>there</w:t></w:r></w:ins></w:p>
    <w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
    </w:body></w:document>"""
    found = await extract(samples.docx(body=body), DOCX)
    assert found == Extracted("One\tmore & less\nline\nthere\na \tb", None, cut=False)


async def test_a_document_in_the_strict_form_is_read_too() -> None:
    said = "<w:body><w:p><w:r><w:t>Strict</w:t></w:r></w:p></w:body>"
    body = f'<w:document xmlns:w="{samples.STRICT_WORD}">{said}</w:document>'
    assert (await extract(samples.docx(body=body), DOCX)).text == "Strict"


async def test_long_texts_are_cut_and_said_to_be() -> None:
    found = await extract(samples.docx("x" * (MAX_TEXT_CHARACTERS + 10)), DOCX)
    assert len(found.text) == MAX_TEXT_CHARACTERS
    assert found.cut
    assert len(beginning_of("é".encode() * (MAX_TEXT_CHARACTERS + 10))) == MAX_TEXT_CHARACTERS


@pytest.mark.parametrize(
    "content, media_type, reason",
    [
        (b"%PDF-1.4\n" + b"x" * 100, PDF, "broken"),
        (samples.pdf("x", more=b"/X " + b"[" * 100_000), PDF, "broken"),
        (samples.pdf("x").replace(b"/Kids [4 0 R]", b"/Kids [2 0 R]"), PDF, "broken"),
        (b"PK\x03\x04 and so on", DOCX, "broken"),
        (samples.docx(body="<a><b></a>"), DOCX, "broken"),
        (samples.docx(body='<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), DOCX, "broken"),
        # What takes a while to make is made where it is used.
        (lambda: samples.pdf(b" " * (200 * MIB)), PDF, "unpacks"),
        (lambda: samples.docx(body=b"<a>" + b" " * (200 * MIB) + b"</a>"), DOCX, "unpacks"),
    ],
    ids=["no pdf", "nested", "in circles", "no archive", "no XML", "declared", "pdf bomb", "document bomb"],
)
async def test_an_unreadable_document_is_refused_with_a_reason(
    content: bytes | Callable[[], bytes], media_type: str, reason: str
) -> None:
    content = content() if callable(content) else content
    with pytest.raises(InvalidRequest, match=reason) as refused:
        await extract(content, media_type)
    assert refused.value.loc == ("file",)


async def test_a_document_that_never_ends_is_ended() -> None:
    endless = samples.pdf(b"BT /F1 12 Tf (a) Tj ET " * 600_000)
    with pytest.raises(InvalidRequest, match="takes too long"):
        await extract(endless, PDF, time_limit_s=1)


async def test_a_reader_that_runs_out_of_memory_is_refused() -> None:
    wide = samples.pdf(b"BT /F1 12 Tf (%s) Tj ET" % (b"a" * (40 * MIB)))
    with pytest.raises(InvalidRequest):
        await extract(wide, PDF, memory_limit_bytes=128 * MIB)


def children() -> set[str]:
    """The processes that this one has started and not yet waited for; the run's own servers are among them."""
    found: set[str] = set()
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            found.update((task / "children").read_text().split())
    return found


async def test_a_reader_sees_no_environment_and_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONSTARTUP", "/nonexistent")
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    before = children()
    assert (await extract(samples.docx("ok"), DOCX)).text == "ok"
    assert children() <= before


class Readers(Extractor):
    """Reads no document, and says whose it would read."""

    def __init__(self) -> None:
        super().__init__()
        self.reading: list[str] = []
        self.go_on = asyncio.Event()

    async def read(self, user_id: str) -> None:
        await self.extract(BytesIO(user_id.encode()), DOCX, user_id=user_id)

    async def _run(self, file: BinaryIO, kind: str) -> tuple[int, bytes]:
        self.reading.append(file.read().decode())
        await self.go_on.wait()
        return 0, b'{"text": "", "pages": null, "cut": false}'


async def test_a_users_documents_are_read_one_after_the_other_and_another_users_beside_them() -> None:
    readers = Readers()
    async with asyncio.TaskGroup() as tasks:
        for user_id in (*["alice"] * 8, "bob", "carol"):
            tasks.create_task(readers.read(user_id))
        await asyncio.sleep(0.01)
        assert readers.reading == ["alice", "bob"]
        readers.go_on.set()
    assert readers.reading[2] == "carol"
    assert readers.reading[3:] == ["alice"] * 7


async def test_only_some_documents_of_a_user_wait() -> None:
    readers = Readers()
    waiting = [asyncio.create_task(readers.read("alice")) for _ in range(17)]
    await asyncio.sleep(0.01)
    with pytest.raises(TooManyAtOnce):
        await readers.read("alice")
    readers.go_on.set()
    await readers.read("bob")
    await asyncio.gather(*waiting)
