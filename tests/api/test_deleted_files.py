"""Deleted files: nothing of their content is left anywhere, and the messages that refer to them say so."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from ai_agents.testing import ScriptedProvider
from tests.api.files import SeeingProvider, files_in, kept_in, uploaded
from tests.api.service import Service, check_problem, give_role, make_agent, make_thread
from tests.fakes import samples

AS_JSON = {"accept": "application/json"}


async def send(client: httpx.AsyncClient, thread_id: str, *file_ids: str, **fields: Any) -> httpx.Response:
    """A message with these files."""
    return await client.post(
        f"/threads/{thread_id}/messages", json={"content": "Look", "attachments": list(file_ids)} | fields
    )


async def file_parts(client: httpx.AsyncClient, thread_id: str) -> list[dict[str, Any]]:
    """The parts with files of all messages of a thread; its log has the same."""
    messages = (await client.get(f"/threads/{thread_id}/messages")).json()["data"]
    log = (await client.get(f"/threads/{thread_id}/events", headers=AS_JSON)).json()["data"]
    logged = [event.get("message") or event.get("user_message") for event in log]
    shown, told = (
        [part for message in found if message for part in message["parts"] if part["type"] == "file"]
        for found in (messages, logged)
    )
    assert shown == told
    return shown


def tombstone(file: dict[str, Any]) -> dict[str, Any]:
    """How a message shows this file once it is deleted."""
    names = ("filename", "media_type", "size_bytes")
    return {"type": "file", "file_id": file["id"], **{name: file[name] for name in names}, "deleted": True}


async def test_its_uploader_deletes_a_file_wherever_others_have_attached_it(service: Service, tmp_path: Path) -> None:
    alice, bob, admin = await service.user("alice"), await service.user("bob"), await service.admin()
    provider = SeeingProvider(*["I see."] * 9)
    service.container.providers.add(provider)
    agent = await make_agent(alice, provider="scripted", model="m")
    await give_role(alice, "bob", "user", "agent", agent["id"])
    file = await uploaded(alice, samples.pdf("The secret plan"), "plan.pdf")
    path = f"/files/{file['id']}"
    shared = (await make_thread(alice, agent["id"]))["id"]
    await give_role(alice, "bob", "editor", "thread", shared)
    bobs = (await make_thread(bob, agent["id"]))["id"]
    for client, thread_id in ((alice, shared), (bob, shared), (bob, bobs)):
        assert (await send(client, thread_id, file["id"])).status_code == 201
    first = (await bob.get(f"/threads/{shared}/messages")).json()["data"][0]
    forked = (await bob.post(f"/threads/{shared}/fork", json={"message_id": first["id"]})).json()["id"]
    check_problem(await bob.delete(path), 403, "forbidden")

    assert (await alice.delete(path)).status_code == 204
    assert (await alice.delete(path)).status_code == 204, "again"

    assert kept_in(tmp_path / "files") == []
    check_problem(await bob.delete(path), 403, "forbidden")
    left = {**file, "sha256": "", "deleted": True}
    for client in (alice, bob, admin):
        assert (await client.get(path)).json() == left
        check_problem(await client.get(f"{path}/content"), 404, "not_found")
    for client, thread_id, count in ((alice, shared, 2), (bob, bobs, 1), (bob, forked, 1)):
        assert await file_parts(client, thread_id) == [tombstone(file)] * count
        shown = (await client.get(f"/threads/{thread_id}/context")).json()
        assert [part for each in shown["messages"] for part in each["parts"] if part["type"] == "file"] == [
            {**tombstone(file), "sent_as": "name"}
        ] * count
        assert (await client.post(f"/threads/{thread_id}/messages", json={"content": "And?"})).status_code == 201
        said = files_in(provider.requests[-1])
        assert [(part.deleted, part.facts, part.content and part.content.form) for part in said] == [
            (True, None, "name")
        ] * count
    again = await bob.post(f"/threads/{forked}/fork", json={"message_id": first["id"]})
    assert again.status_code == 404
    check_problem(await send(bob, bobs, file["id"]), 422, "invalid_request")
    problem = check_problem(await send(alice, shared, file["id"]), 422, "invalid_request")
    assert problem["errors"] == [{"loc": ["body", "attachments", 0], "msg": "This file was deleted."}]
    initial = {"role": "user", "content": [{"type": "file", "file_id": file["id"]}]}
    refused = await alice.post("/threads", json={"agent_id": agent["id"], "messages": [initial]})
    check_problem(refused, 422, "invalid_request")
    # Who has lost the threads sees no tombstone either, and once no message refers to it, none is left.
    assert (await bob.delete(f"/threads/{forked}")).status_code == 204
    assert (await bob.delete(f"/threads/{bobs}")).status_code == 204
    assert (await alice.delete(f"/threads/{shared}")).status_code == 204
    check_problem(await bob.get(path), 404, "not_found")
    assert (await alice.delete(path)).status_code == 204
    check_problem(await alice.get(path), 404, "not_found")


async def test_a_member_who_has_left_reads_a_file_no_more(service: Service) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    thread = await make_thread(alice)
    await give_role(alice, "bob", "editor", "thread", thread["id"])
    await give_role(alice, "bob", "user", "agent", thread["agent_id"])
    file, bobs = await uploaded(alice, b"of alice"), await uploaded(bob, b"of bob")
    assert (await send(alice, thread["id"], file["id"])).status_code == 201
    assert (await send(bob, thread["id"], bobs["id"])).status_code == 201
    assert (await bob.get(f"/files/{file['id']}/content")).content == b"of alice"
    own = await make_thread(bob)

    roles = (await alice.get(f"/roles?resource_type=thread&resource_id={thread['id']}")).json()["data"]
    (role,) = (each["id"] for each in roles if each["user_id"] == "bob")
    assert (await alice.delete(f"/roles/{role}")).status_code == 204

    for path in (f"/files/{file['id']}", f"/files/{file['id']}/content"):
        check_problem(await bob.get(path), 404, "not_found")
    check_problem(await send(bob, own["id"], file["id"]), 422, "invalid_request")
    assert (await bob.get(f"/files/{bobs['id']}/content")).content == b"of bob"
    assert (await alice.get(f"/files/{bobs['id']}/content")).content == b"of bob"
    assert (await bob.delete(f"/files/{bobs['id']}")).status_code == 204
    assert (await file_parts(alice, thread["id"]))[1] == tombstone(bobs)


async def test_the_same_content_of_another_user_stays(service: Service, tmp_path: Path) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    file, bobs = await uploaded(alice, b"the same"), await uploaded(bob, b"the same")
    thread, other = await make_thread(alice), await make_thread(bob)
    assert (await send(alice, thread["id"], file["id"])).status_code == 201
    assert (await send(bob, other["id"], bobs["id"])).status_code == 201

    assert (await alice.delete(f"/files/{file['id']}")).status_code == 204

    assert (await bob.get(f"/files/{bobs['id']}/content")).content == b"the same"
    assert "deleted" not in (await file_parts(bob, other["id"]))[0]
    again = await uploaded(alice, b"the same")
    assert (await alice.get(f"/files/{again['id']}/content")).content == b"the same"
    assert (await bob.delete(f"/files/{bobs['id']}")).status_code == 204
    assert len(kept_in(tmp_path / "files")) == 1


async def test_a_message_that_waits_goes_without_a_file_that_is_deleted_meanwhile(service: Service) -> None:
    alice = await service.user("alice")
    go = asyncio.Event()
    provider = ScriptedProvider(["One", go, " moment."], "Gone.")
    service.container.providers.add(provider)
    agent = await make_agent(alice, provider="scripted", model="m")
    thread = await make_thread(alice, agent["id"])
    file = await uploaded(alice, b"of no use", "notes.md")
    path, later = f"/threads/{thread['id']}/messages", {"prefer": "respond-async"}
    assert (await alice.post(path, json={"content": "Wait"}, headers=later)).status_code == 202
    body = {"content": "Look", "attachments": [file["id"]], "on_busy": "queue"}
    queued = await alice.post(path, json=body, headers=later)
    assert queued.json()["status"] == "queued"

    assert (await alice.delete(f"/files/{file['id']}")).status_code == 204
    go.set()

    run = f"/threads/{thread['id']}/runs/{queued.json()['id']}"
    assert "run.completed" in (await alice.get(f"{run}/events")).text
    assert await file_parts(alice, thread["id"]) == [tombstone(file)]
    assert [part.deleted for part in files_in(provider.requests[1])] == [True]


async def test_a_deletion_finds_the_messages_and_forks_that_are_written_meanwhile(service: Service) -> None:
    alice = await service.user("alice")
    agent = await make_agent(alice)
    for _ in range(4):
        file = await uploaded(alice)
        thread = await make_thread(alice, agent["id"])
        assert (await send(alice, thread["id"], file["id"])).status_code == 201
        (first, *_) = (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"]
        others = [await make_thread(alice, agent["id"]) for _ in range(3)]

        *sent, deleted = await asyncio.gather(
            *(send(alice, other["id"], file["id"]) for other in others),
            *(alice.post(f"/threads/{thread['id']}/fork", json={"message_id": first["id"]}) for _ in range(3)),
            alice.delete(f"/files/{file['id']}"),
        )

        assert deleted.status_code == 204, deleted.text
        assert {answer.status_code for answer in sent} <= {201, 422}
        forks = [answer.json()["id"] for answer in sent[len(others) :]]
        for thread_id in (thread["id"], *(other["id"] for other in others), *forks):
            assert all(part == tombstone(file) for part in await file_parts(alice, thread_id))


async def test_an_upload_that_is_repeated_with_its_key_after_the_deletion_is_404(small_service: Service) -> None:
    alice = await small_service.user("alice")
    key = {"Idempotency-Key": "k"}
    form = {"file": ("a.txt", b"Hello")}
    file = (await alice.post("/files", files=form, headers=key)).json()
    thread = await make_thread(alice)
    assert (await send(alice, thread["id"], file["id"])).status_code == 201
    assert (await alice.delete(f"/files/{file['id']}")).status_code == 204

    check_problem(await alice.post("/files", files=form, headers=key), 404, "not_found")
