"""Files in messages: who may attach which, and what models are given."""

import httpx

from ai_agents.testing import ScriptedProvider
from tests.api.files import SeeingProvider, files_in, uploaded
from tests.api.service import UNKNOWN_ID, Service, check_problem, make_agent, make_thread
from tests.fakes import samples


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
