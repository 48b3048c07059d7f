"""How files go to a model: as they are, as text, by name, or not at all."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ai_agents.attachments.extraction import MAX_TEXT_CHARACTERS
from ai_agents.attachments.formatting import check_files, load_files, plan_files
from ai_agents.attachments.kinds import DOCX, PDF
from ai_agents.attachments.storage import DiskStore
from ai_agents.core.exceptions import StorageUnavailable, UnsupportedAttachment
from ai_agents.core.types import FileContent, FilePart, ModelMessage, TextPart
from ai_agents.providers.files import ANY_FILES, IMAGES, NO_FILES, FileRules

ONLY_IMAGES = FileRules(IMAGES)


def file(name: str, media_type: str, size_bytes: int = 10, **facts: Any) -> FilePart:
    """A file of which this is known."""
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return FilePart(name, name, media_type, size_bytes, facts={"sha256": sha256, **facts})


IMAGE = file("a.png", "image/png", width=10, height=10)
DOCUMENT = file("a.pdf", PDF, pages=2, text_tokens=7)
SCAN = file("scan.pdf", PDF, pages=2, text_tokens=0)
WORD = file("a.docx", DOCX, text_tokens=7)
NOTES = file("a.txt", "text/plain", text_tokens=7)


def user(*parts: TextPart | FilePart) -> ModelMessage:
    """A user's message."""
    return ModelMessage("user", parts)


def forms(messages: tuple[ModelMessage, ...]) -> list[str]:
    """How each file goes, in their order."""
    found = [part for message in messages for part in message.parts if isinstance(part, FilePart)]
    return [part.content.form for part in found if part.content]


@pytest.mark.parametrize(
    "part, rules, form",
    [
        (IMAGE, ANY_FILES, "data"),
        (IMAGE, ONLY_IMAGES, "data"),
        (DOCUMENT, ANY_FILES, "data"),
        (DOCUMENT, ONLY_IMAGES, "text"),
        (DOCUMENT, NO_FILES, "text"),
        (SCAN, ANY_FILES, "data"),
        (WORD, ANY_FILES, "text"),
        (NOTES, ANY_FILES, "text"),
        (NOTES, NO_FILES, "text"),
        (file("long.pdf", PDF, pages=101, text_tokens=7), ANY_FILES, "text"),
        (file("large.pdf", PDF, 30_000_000, pages=1, text_tokens=7), ANY_FILES, "text"),
    ],
)
def test_a_file_goes_as_it_is_or_as_its_text(part: FilePart, rules: FileRules, form: str) -> None:
    check_files([(part, ("attachments", 0))], rules)
    assert forms(plan_files([user(part)], rules)) == [form]


@pytest.mark.parametrize(
    "part, rules, reason",
    [
        (IMAGE, NO_FILES, "takes no image/png"),
        (SCAN, NO_FILES, "takes no application/pdf, and there is no text in it"),
        (file("a.docx", DOCX, text_tokens=0), ANY_FILES, "no text"),
        (file("a.png", "image/png", 6_000_000), FileRules(IMAGES, max_image_bytes=5_000_000), "5000000 bytes"),
        (file("a.png", "image/png", width=9_000, height=1), FileRules(IMAGES, max_image_edge=8_000), "8000 pixels"),
        (file("a.png", "image/png", 30_000_000), FileRules(IMAGES, max_image_bytes=90_000_000), "bytes of files"),
        (file("a.gif", "image/gif"), FileRules(frozenset({"image/png"})), "takes no image/gif"),
    ],
)
def test_a_file_that_the_model_can_be_given_in_no_form_is_named(part: FilePart, rules: FileRules, reason: str) -> None:
    with pytest.raises(UnsupportedAttachment, match=reason) as refused:
        check_files([(NOTES, ("attachments", 0)), (part, ("attachments", 1))], rules)
    assert str(refused.value).startswith(f"{part.filename} cannot be sent: ")
    assert refused.value.loc == ("attachments", 1)
    with pytest.raises(UnsupportedAttachment):
        plan_files([user(part)], rules)


def test_more_files_than_a_model_takes_at_once_are_refused_in_one_message() -> None:
    images = [(replace(IMAGE, file_id=str(number)), ("attachments", number)) for number in range(3)]
    check_files(images[:2], FileRules(IMAGES, max_images=2))
    with pytest.raises(UnsupportedAttachment, match="at most 2 images") as refused:
        check_files(images, FileRules(IMAGES, max_images=2))
    assert refused.value.loc == ("attachments", 2)


def test_of_a_long_history_the_newest_files_go_and_older_ones_by_name() -> None:
    history = [user(TextPart("one"), IMAGE), ModelMessage("assistant", (TextPart("I see"),)), user(IMAGE), user(IMAGE)]
    assert forms(plan_files(history, FileRules(IMAGES, max_images=2))) == ["name", "data", "data"]


def test_what_a_model_cannot_take_of_earlier_turns_goes_by_name_and_never_stops_the_thread() -> None:
    history = [user(IMAGE, NOTES), ModelMessage("assistant", (TextPart("I see"),)), user(TextPart("And now?"))]
    assert forms(plan_files(history, NO_FILES)) == ["name", "text"]
    assert forms(plan_files([user(IMAGE)], NO_FILES, strict=False)) == ["name"]


def test_a_history_without_files_is_left_as_it_is() -> None:
    history = (user(TextPart("Hello")),)
    assert plan_files(history, NO_FILES) is history


def test_a_request_begins_as_the_one_before_it_did() -> None:
    first = [user(TextPart("one"), IMAGE, DOCUMENT)]
    second = [*first, ModelMessage("assistant", (TextPart("two"),)), user(IMAGE)]
    assert plan_files(second, ANY_FILES)[0] == plan_files(first, ANY_FILES)[0]


async def keep(blobs: DiskStore, part: FilePart, content: bytes, text: str | None = None) -> FilePart:
    """The part with this content behind it."""
    with blobs.receive(max_bytes=len(content)) as receiving:
        receiving.write(content)
        received = await receiving.finish()
        await blobs.put(received)
    if text is not None:
        await blobs.put_text(received.sha256, text)
    return replace(part, facts={**(part.facts or {}), "sha256": received.sha256})


async def test_bytes_and_texts_are_read_of_what_is_sent(tmp_path: Path) -> None:
    blobs = DiskStore(tmp_path)
    image = await keep(blobs, IMAGE, b"image")
    document = await keep(blobs, DOCUMENT, b"document", "drawn from it")
    notes = await keep(blobs, NOTES, b"\xef\xbb\xbfnotes\r\n")
    long = await keep(blobs, replace(NOTES, file_id="long"), b"x" * (MAX_TEXT_CHARACTERS + 1))
    cut = await keep(blobs, file("cut.docx", DOCX, text_tokens=3, cut=True), b"cut", "as far as it goes")

    planned = plan_files([user(image, document, notes, long, cut)], ONLY_IMAGES)
    (message,) = await load_files(planned, blobs)

    contents = [part.content for part in message.parts if isinstance(part, FilePart)]
    end = "\n[The rest of the file is left out: it is too long.]"
    assert contents == [
        FileContent("data", data=b"image"),
        FileContent("text", text="drawn from it"),
        FileContent("text", text="notes\r\n"),
        FileContent("text", text="x" * MAX_TEXT_CHARACTERS + end),
        FileContent("text", text="as far as it goes" + end),
    ]


async def test_files_that_are_not_there_stop_the_request_and_no_storage_leaves_their_names(tmp_path: Path) -> None:
    planned = plan_files([user(IMAGE, NOTES)], ANY_FILES)
    with pytest.raises(StorageUnavailable):
        await load_files(planned, DiskStore(tmp_path))
    assert forms(await load_files(planned, None)) == ["name", "name"]


async def test_a_document_whose_text_was_lost_goes_by_its_name(tmp_path: Path) -> None:
    blobs = DiskStore(tmp_path)
    document = await keep(blobs, DOCUMENT, b"document")
    assert forms(await load_files(plan_files([user(document)], NO_FILES), blobs)) == ["name"]
