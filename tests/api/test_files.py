"""Files: uploading, reading, attaching and deleting them, and refusing hostile ones."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ai_agents.attachments.extraction import Extractor
from ai_agents.attachments.folder import ID_FILE
from ai_agents.core.types import FilePart, ModelRequest
from ai_agents.providers.base import Capabilities
from ai_agents.providers.files import ANY_FILES
from ai_agents.testing import ScriptedProvider
from tests.api.service import (
    UNKNOWN_ID,
    Service,
    check_problem,
    give_role,
    make_agent,
    make_thread,
    open_service,
    settings_for,
)
from tests.fakes import samples

MIB = 1024 * 1024


async def upload(
    client: httpx.AsyncClient, content: bytes = b"Hello", name: str = "a.txt", media_type: str = "", **headers: str
) -> httpx.Response:
    """Send a file as a browser does."""
    part = (name, content, media_type) if media_type else (name, content)
    return await client.post("/files", files={"file": part}, headers=headers)


async def uploaded(client: httpx.AsyncClient, content: bytes = b"Hello", name: str = "a.txt") -> dict[str, Any]:
    """A file of the client's user."""
    response = await upload(client, content, name)
    assert response.status_code == 201, response.text
    file: dict[str, Any] = response.json()
    return file


class SeeingProvider(ScriptedProvider):
    """A provider whose models accept every file, and which records its requests."""

    name = "scripted"

    def capabilities(self, model: str) -> Capabilities:
        """All files."""
        return Capabilities(files=ANY_FILES)


def files_in(request: ModelRequest) -> list[FilePart]:
    """The files of a request."""
    return [part for message in request.messages for part in message.parts if isinstance(part, FilePart)]


# Uploading and reading.


@pytest.mark.parametrize(
    "name, content, media_type",
    [
        ("a.png", samples.png(), "image/png"),
        ("a.jpg", samples.jpeg(), "image/jpeg"),
        ("a.gif", samples.gif(), "image/gif"),
        ("a.webp", samples.webp(), "image/webp"),
        ("a.pdf", samples.pdf("Hello"), "application/pdf"),
        ("a.docx", samples.docx("Hello"), samples.DOCX),
        ("a.txt", b"Hello", "text/plain"),
        ("A.MD", b"# Hello", "text/markdown"),
        ("a.csv", b"a,b\n1,2\n", "text/csv"),
        ("a.json", b'{"a": 1}', "application/json"),
        ("program.py", b"print('hello')", "text/plain"),
        ("no extension", b"\xef\xbb\xbfHello", "text/plain"),
        ("Überraschung 世界.txt", "grüße".encode(), "text/plain"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value),
)
async def test_a_kind_is_detected(shared_service: Service, name: str, content: bytes, media_type: str) -> None:
    alice = await shared_service.user("alice")

    response = await upload(alice, content, name)

    assert response.status_code == 201, response.text
    file = response.json()
    assert list(file) == ["id", "filename", "media_type", "size_bytes", "sha256"]
    assert (file["filename"], file["media_type"], file["size_bytes"]) == (name, media_type, len(content))
    assert response.headers["location"] == f"/files/{file['id']}"
    assert (await alice.get(f"/files/{file['id']}")).json() == file
    given = await alice.get(f"/files/{file['id']}/content")
    assert given.content == content


async def test_content_is_served_as_a_download_that_browsers_do_not_sniff(small_service: Service) -> None:
    alice = await small_service.user("alice")
    file = await uploaded(alice, b"x", 'a "b" ä.txt')

    response = await alice.get(f"/files/{file['id']}/content")

    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-length"] == "1"
    said = response.headers["content-disposition"]
    assert said == "attachment; filename=\"a _b_ _.txt\"; filename*=UTF-8''a%20%22b%22%20%C3%A4.txt"


async def test_the_same_content_is_kept_once_until_its_last_file_goes(service: Service, tmp_path: Path) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    content = samples.pdf("kept once")
    first, second = await uploaded(alice, content, "a.pdf"), await uploaded(bob, content, "b.pdf")
    assert first["sha256"] == second["sha256"]
    assert first["id"] != second["id"]
    blob = tmp_path / "files" / first["sha256"][:2] / first["sha256"]
    assert sorted(kept_in(tmp_path / "files")) == sorted([blob, blob.with_suffix(".txt")])

    assert (await alice.delete(f"/files/{first['id']}")).status_code == 204
    check_problem(await alice.get(f"/files/{first['id']}"), 404, "not_found")
    assert (await bob.get(f"/files/{second['id']}/content")).content == content
    assert (await bob.delete(f"/files/{second['id']}")).status_code == 204
    assert kept_in(tmp_path / "files") == []


def kept_in(directory: Path) -> list[Path]:
    """Every file in a folder, but for the folder's id."""
    return [path for path in directory.rglob("*") if path.is_file() and path.name != ID_FILE]


async def test_a_repeated_upload_with_a_key_makes_one_file(service: Service) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    key = {"Idempotency-Key": "k1"}

    first = await upload(alice, b"one", **key)
    again = await upload(alice, b"one", **key)
    other = await upload(alice, b"two", **key)
    renamed = await upload(alice, b"one", "b.txt", **key)
    others = await upload(bob, b"one", **key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    check_problem(other, 422, "idempotency_key_reused")
    check_problem(renamed, 422, "idempotency_key_reused")
    assert others.json()["id"] != first.json()["id"]
    check_problem(await upload(alice, b"one", **{"Idempotency-Key": "k" * 256}), 400, "invalid_idempotency_key")


async def test_twenty_equal_uploads_at_once_with_one_key_make_one_file(service: Service) -> None:
    alice = await service.user("alice")

    answers = await asyncio.gather(*(upload(alice, b"one", **{"Idempotency-Key": "k"}) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1


# Access.


async def test_files_need_a_key(service: Service, alice: httpx.AsyncClient) -> None:
    anonymous = await service.anonymous()
    file = await uploaded(alice)

    check_problem(await upload(anonymous), 401, "unauthorized")
    for path in (f"/files/{file['id']}", f"/files/{file['id']}/content"):
        check_problem(await anonymous.get(path), 401, "unauthorized")
    check_problem(await anonymous.delete(f"/files/{file['id']}"), 401, "unauthorized")


async def test_another_users_file_is_404(service: Service, alice: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    file = await uploaded(alice)

    for file_id in (file["id"], UNKNOWN_ID, "no-id"):
        answers = [
            await bob.get(f"/files/{file_id}"),
            await bob.get(f"/files/{file_id}/content"),
            await bob.delete(f"/files/{file_id}"),
        ]
        for answer in answers:
            problem = check_problem(answer, 404, "not_found")
            assert problem["detail"] == "There is no such file."
    assert (await alice.get(f"/files/{file['id']}")).status_code == 200


async def test_readers_only_read_files(service: Service, alice: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    file = await uploaded(alice, samples.png(), "a.png")
    thread = await make_thread(alice)
    answer = await alice.post(
        f"/threads/{thread['id']}/messages", json={"content": "Look", "attachments": [file["id"]]}
    )
    assert answer.status_code == 201, answer.text
    check_problem(await bob.get(f"/files/{file['id']}"), 404, "not_found")

    await give_role(alice, "bob", "viewer", "thread", thread["id"])

    assert (await bob.get(f"/files/{file['id']}")).json() == file
    assert (await bob.get(f"/files/{file['id']}/content")).content == samples.png()
    check_problem(await bob.delete(f"/files/{file['id']}"), 403, "forbidden")
    assert (await alice.delete(f"/threads/{thread['id']}")).status_code == 204
    check_problem(await bob.get(f"/files/{file['id']}"), 404, "not_found")
    assert (await alice.delete(f"/files/{file['id']}")).status_code == 204


async def test_an_admin_reads_and_deletes_any_file(admin: httpx.AsyncClient, alice: httpx.AsyncClient) -> None:
    file = await uploaded(alice)

    assert (await admin.get(f"/files/{file['id']}/content")).content == b"Hello"
    assert (await admin.delete(f"/files/{file['id']}")).status_code == 204


# In messages.


async def test_files_are_shown_and_given_to_the_model(service: Service, alice: httpx.AsyncClient) -> None:
    provider = SeeingProvider("It is a picture.")
    service.container.providers.add(provider)
    agent = await make_agent(alice, provider="scripted", model="m")
    thread = await make_thread(alice, agent["id"])
    picture = await uploaded(alice, samples.png(), "a.png")
    text = await uploaded(alice, b"Some notes", "notes.md")

    content = [{"type": "text", "text": "What is it?"}, {"type": "file", "file_id": picture["id"]}]
    answer = await alice.post(
        f"/threads/{thread['id']}/messages", json={"content": content, "attachments": [text["id"]]}
    )

    assert answer.status_code == 201, answer.text
    asked = (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"][0]
    assert asked["content"] == "What is it?"
    names = ("filename", "media_type", "size_bytes")
    assert asked["parts"] == [
        content[0],
        {"type": "file", "file_id": picture["id"], **{name: picture[name] for name in names}},
        {"type": "file", "file_id": text["id"], **{name: text[name] for name in names}},
    ]
    sent = files_in(provider.requests[0])
    assert [part.content and (part.content.form, part.content.data, part.content.text) for part in sent] == [
        ("data", samples.png(), ""),
        ("text", b"", "Some notes"),
    ]
    log = (await alice.get(f"/threads/{thread['id']}/events", headers={"accept": "application/json"})).text
    assert picture["id"] in log
    assert "sha256" not in log
    assert "text_tokens" not in log


async def test_a_file_alone_is_a_message(alice: httpx.AsyncClient) -> None:
    thread = await make_thread(alice)
    file = await uploaded(alice)

    answer = await alice.post(
        f"/threads/{thread['id']}/messages", json={"content": [{"type": "file", "file_id": file["id"]}]}
    )

    assert answer.status_code == 201, answer.text
    assert "[file: a.txt (text/plain)]" in answer.json()["content"]


async def test_an_unreadable_attachment_is_refused(alice: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    others = await uploaded(alice)
    own = await uploaded(bob)
    thread = await make_thread(bob)

    for missing in (others["id"], UNKNOWN_ID, "no-id"):
        attached = await bob.post(
            f"/threads/{thread['id']}/messages", json={"content": "Look", "attachments": [own["id"], missing]}
        )
        problem = check_problem(attached, 422, "invalid_request")
        assert problem["errors"] == [{"loc": ["body", "attachments", 1], "msg": "There is no such file."}]
        parts = [{"type": "text", "text": "x"}, {"type": "file", "file_id": missing}]
        named = await bob.post(f"/threads/{thread['id']}/messages", json={"content": parts})
        problem = check_problem(named, 422, "invalid_request")
        assert problem["errors"] == [{"loc": ["body", "content", 1, "file_id"], "msg": "There is no such file."}]
    assert (await bob.get(f"/threads/{thread['id']}/messages")).json()["data"] == []
    assert (await bob.delete(f"/files/{own['id']}")).status_code == 204


async def test_an_invisible_thread_is_404_for_any_attachment(alice: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    thread = await make_thread(alice)

    answer = await bob.post(f"/threads/{thread['id']}/messages", json={"content": "Look", "attachments": [UNKNOWN_ID]})

    check_problem(answer, 404, "not_found")


async def test_a_file_that_no_model_takes_is_refused(service: Service, alice: httpx.AsyncClient) -> None:
    provider = ScriptedProvider("never said")
    service.container.providers.add(provider)
    agent = await make_agent(alice, provider="scripted", model="m")
    thread = await make_thread(alice, agent["id"])
    picture = await uploaded(alice, samples.png(), "cat.png")
    scan = await uploaded(alice, samples.pdf(b" "), "scan.pdf")

    for file in (picture, scan):
        answer = await alice.post(
            f"/threads/{thread['id']}/messages", json={"content": "Look", "attachments": [file["id"]]}
        )
        problem = check_problem(answer, 422, "invalid_request")
        assert problem["detail"].startswith(f"{file['filename']} cannot be sent: ")
        assert problem["errors"][0]["loc"] == ["body", "attachments", 0]
    assert provider.requests == []
    assert (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"] == []


async def test_a_model_without_documents_gets_their_text(service: Service, alice: httpx.AsyncClient) -> None:
    provider = ScriptedProvider("Read.")
    service.container.providers.add(provider)
    agent = await make_agent(alice, provider="scripted", model="m")
    thread = await make_thread(alice, agent["id"])
    documents = [
        await uploaded(alice, samples.pdf("Page one", "Page two"), "a.pdf"),
        await uploaded(alice, samples.docx("First &amp; last", "Second"), "b.docx"),
    ]

    answer = await alice.post(
        f"/threads/{thread['id']}/messages",
        json={"content": "Read", "attachments": [file["id"] for file in documents]},
    )

    assert answer.status_code == 201, answer.text
    texts = [part.content.text for part in files_in(provider.requests[0]) if part.content]
    assert texts == ["Page one\n\nPage two", "First & last\nSecond"]


async def test_other_models_get_the_names_of_earlier_files(service: Service, alice: httpx.AsyncClient) -> None:
    thread = await make_thread(alice)
    picture = await uploaded(alice, samples.png(), "cat.png")
    body = {"content": "Look", "attachments": [picture["id"]]}
    assert (await alice.post(f"/threads/{thread['id']}/messages", json=body)).status_code == 201
    provider = ScriptedProvider("I cannot see it.")
    service.container.providers.add(provider)
    change = {"provider": "scripted", "model": "m"}
    assert (await alice.patch(f"/agents/{thread['agent_id']}", json=change)).status_code == 200

    answer = await alice.post(f"/threads/{thread['id']}/messages", json={"content": "What did you see?"})

    assert answer.status_code == 201, answer.text
    (part,) = files_in(provider.requests[0])
    assert part.content is not None
    assert part.content.form == "name"


async def test_files_of_a_first_history_are_forked(alice: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    file = await uploaded(alice)
    agent = await make_agent(alice)
    content = [{"type": "text", "text": "Look"}, {"type": "file", "file_id": file["id"]}]
    first = {"role": "user", "content": content}

    thread = await make_thread(alice, agent["id"], messages=[first])
    history = (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"]
    forked = await alice.post(f"/threads/{thread['id']}/fork", json={"message_id": history[0]["id"]})

    assert forked.status_code == 201, forked.text
    assert history[0]["parts"][1]["filename"] == "a.txt"
    assert (await alice.delete(f"/threads/{thread['id']}")).status_code == 204
    bobs = await make_agent(bob)
    refused = await bob.post("/threads", json={"agent_id": bobs["id"], "messages": [first]})
    problem = check_problem(refused, 422, "invalid_request")
    assert problem["errors"][0]["loc"] == ["body", "messages", 0, "content", 1, "file_id"]


# What is refused.

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
    began = time.monotonic()

    response = await upload(alice, content, name)

    assert time.monotonic() - began < 15
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


async def test_a_missing_blob_is_a_problem_for_reading_and_deleting(small_service: Service, tmp_path: Path) -> None:
    alice = await small_service.user("alice")
    file = await uploaded(alice)
    for path in kept_in(tmp_path / "files"):
        path.unlink()

    check_problem(await alice.get(f"/files/{file['id']}/content"), 503, "overloaded")
    check_problem(await alice.delete(f"/files/{file['id']}"), 503, "overloaded")
    assert (await alice.get(f"/files/{file['id']}")).status_code == 200, "it is not said to be gone"
