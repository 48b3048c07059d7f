"""Files: uploading, reading, attaching and deleting them, and refusing hostile ones."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.api.files import kept_in, upload, uploaded
from tests.api.service import UNKNOWN_ID, Service, check_problem, give_role, make_thread
from tests.fakes import samples


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


async def test_a_missing_blob_is_a_problem_for_reading_and_deleting(small_service: Service, tmp_path: Path) -> None:
    alice = await small_service.user("alice")
    file = await uploaded(alice)
    for path in kept_in(tmp_path / "files"):
        path.unlink()

    check_problem(await alice.get(f"/files/{file['id']}/content"), 503, "overloaded")
    check_problem(await alice.delete(f"/files/{file['id']}"), 503, "overloaded")
    assert (await alice.get(f"/files/{file['id']}")).status_code == 200, "it is not said to be gone"
