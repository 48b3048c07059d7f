"""`GET /threads/{id}/context`: what a model would get of a thread."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, update

from ai_agents.attachments.storage import DiskStore
from ai_agents.core.ids import new_id
from ai_agents.core.parts import part_to_public
from ai_agents.core.types import FilePart
from ai_agents.store.models import MessageTable
from ai_agents.store.provider_tables import ModelCallTable
from ai_agents.testing import ScriptedProvider
from tests.api.service import UNKNOWN_ID, Service, check_problem, give_role, make_agent, make_thread
from tests.fakes import samples
from tests.support.summaries import SummaryStore


def said(count: int) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[index % 2], "content": f"message {index + 1}"} for index in range(count)]


async def context_of(client: httpx.AsyncClient, thread: Mapping[str, Any], **query: str) -> dict[str, Any]:
    response = await client.get(f"/threads/{thread['id']}/context", params=query)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def seqs(context: dict[str, Any]) -> list[int | None]:
    return [message["seq"] for message in context["messages"]]


@pytest.fixture
def database_url(one_database_url: str) -> str:
    """What is sent to a model depends on no database."""
    return one_database_url


async def test_it_is_what_a_run_sends(service: Service, alice: httpx.AsyncClient) -> None:
    provider = ScriptedProvider("Fine.", "Still fine.")
    service.container.providers.add(provider)
    agent = await make_agent(
        alice,
        provider="scripted",
        system_prompt="Be brief.",
        tools=["calculator"],
        memory={"strategy": "last_n", "n": 3},
    )
    thread = await make_thread(alice, agent["id"], messages=said(4))
    assert (await alice.post(f"/threads/{thread['id']}/messages", json={"content": "And you?"})).status_code == 201
    [request] = provider.requests

    # The thread as the run read it, without the answer.
    forked = (await alice.get(f"/threads/{thread['id']}/messages", params={"order": "desc"})).json()["data"][1]
    fork = (await alice.post(f"/threads/{thread['id']}/fork", json={"message_id": forked["id"]})).json()
    context = await context_of(alice, fork)

    assert context["system"] == request.system == "Be brief."
    assert [tool["name"] for tool in context["tools"]] == [tool.name for tool in request.tools] == ["calculator"]
    assert [(message["role"], message["parts"]) for message in context["messages"]] == [
        (message.role, [part_to_public(part) for part in message.parts]) for message in request.messages
    ]
    assert (context["provider"], context["model"], context["strategy"]) == ("scripted", "scripted", "last_n")


async def test_another_provider_model_and_strategy_can_be_compared_without_their_keys(alice: httpx.AsyncClient) -> None:
    thread = await make_thread(alice, messages=said(9))

    context = await context_of(
        alice, thread, provider="anthropic", model="claude-sonnet-4-20250514", strategy='{"strategy": "last_n", "n": 4}'
    )

    assert (context["provider"], context["model"], context["strategy"]) == (
        "anthropic",
        "claude-sonnet-4-20250514",
        "last_n",
    )
    assert seqs(context) == [7, 8, 9]
    assert context["tokens"]["window"] == 200_000
    assert (await context_of(alice, thread, model="another"))["model"] == "another"
    assert seqs(await context_of(alice, thread, strategy="first_last")) == list(range(1, 10))


async def test_what_the_memory_passes_over_is_told_of_message_by_message(alice: httpx.AsyncClient) -> None:
    thread = await make_thread(alice, messages=said(9))

    context = await context_of(alice, thread, strategy='{"strategy": "first_last", "first": 2, "last": 3}')

    assert seqs(context) == [1, 2, None, 7, 8, 9]
    assert [(each["seq"], each["role"], each["reason"]) for each in context["left_out"]] == [
        (3, "user", "strategy"),
        (4, "assistant", "strategy"),
        (5, "user", "strategy"),
        (6, "assistant", "strategy"),
    ]
    assert all(each["tokens"] > 0 for each in context["left_out"])


async def test_of_a_long_thread_the_far_past_is_told_of_in_one_line(service: Service, alice: httpx.AsyncClient) -> None:
    thread = await make_thread(alice)
    agent_id = thread["agent_id"]
    long = await service.container.threads.create(agent_id, messages=said(301), owner_id="alice")

    last = await context_of(alice, long, strategy='{"strategy": "last_n", "n": 1}')
    both = await context_of(alice, long, strategy='{"strategy": "first_last", "first": 2, "last": 251}')

    assert [each["seq"] for each in last["left_out"]] == [101, *range(102, 301)]
    assert last["left_out"][0] == {"seq": 101, "role": None, "tokens": None, "reason": "strategy"}
    assert seqs(both) == [1, 2, None, *range(51, 302)]
    assert both["left_out"] == [{"seq": 50, "role": None, "tokens": None, "reason": "strategy"}]


@pytest.mark.parametrize("strategy", ["last_n", "first_last", "token_window", "summarize"])
async def test_a_greeting_is_shown_with_what_is_sent_before_it(alice: httpx.AsyncClient, strategy: str) -> None:
    greeting = [{"role": "assistant", "content": "Hello! What can I do?"}]
    thread = await make_thread(alice, messages=[*greeting, *said(3)])
    last = (await alice.get(f"/threads/{thread['id']}/messages", params={"order": "desc"})).json()["data"][0]
    fork = (await alice.post(f"/threads/{thread['id']}/fork", json={"message_id": last["id"]})).json()

    for each in thread, fork:
        context = await context_of(alice, each, strategy=strategy)
        assert seqs(context) == [None, 1, 2, 3, 4]
        begins, first = context["messages"][:2]
        assert (begins["role"], begins["parts"][0]["text"]) == ("user", "(The assistant begins the conversation.)")
        assert (first["role"], first["parts"][0]["text"]) == ("assistant", "Hello! What can I do?")
        assert begins["tokens"] > 0
        assert context["left_out"] == []


async def test_a_summary_stands_for_what_it_covers(service: Service, alice: httpx.AsyncClient) -> None:
    thread = await make_thread(alice, messages=said(6))
    summaries = SummaryStore(service.container.conn)
    assert await summaries.add(thread["id"], "They counted.", covers_through_seq=4, expected_covers=0)

    context = await context_of(alice, thread, strategy="summarize")

    assert context["summary"] == "They counted."
    assert seqs(context) == [None, 5, 6]
    assert "They counted." in context["messages"][0]["parts"][0]["text"]
    assert [(each["seq"], each["reason"]) for each in context["left_out"]] == [
        (seq, "summarized") for seq in range(1, 5)
    ]


async def test_what_does_not_fit_is_left_out_from_the_oldest_on(alice: httpx.AsyncClient) -> None:
    long = [{**message, "content": "word " * 4_000} for message in said(5)]
    thread = await make_thread(alice, messages=long)

    context = await context_of(alice, thread, provider="openai", model="gpt-4", strategy="last_n")

    assert context["tokens"]["window"] == 8_192
    assert context["tokens"]["total"] <= context["tokens"]["budget"]
    assert seqs(context) == [5]
    assert [(each["seq"], each["reason"]) for each in context["left_out"]] == [
        (seq, "token_budget") for seq in range(1, 5)
    ]


async def test_a_context_that_would_fail_is_still_told(alice: httpx.AsyncClient) -> None:
    thread = await make_thread(alice, messages=[{"role": "user", "content": "word " * 15_000}])

    context = await context_of(alice, thread, provider="openai", model="gpt-4")

    assert seqs(context) == [1]
    assert context["tokens"]["total"] > context["tokens"]["window"]


async def test_an_empty_thread_has_an_empty_context(alice: httpx.AsyncClient) -> None:
    context = await context_of(alice, await make_thread(alice))

    assert (context["messages"], context["left_out"], context["summary"]) == ([], [], None)
    assert context["tokens"]["method"] == "estimate"


async def test_a_prompt_is_private(alice: httpx.AsyncClient, bob: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    """An agent's prompt and tools are shown only to users who may see the agent."""
    agent = await make_agent(alice, system_prompt="A secret.", tools=["calculator"])
    thread = await make_thread(alice, agent["id"], messages=said(1))
    check_problem(await bob.get(f"/threads/{thread['id']}/context"), 404, "not_found")

    await give_role(alice, "bob", "viewer", "thread", thread["id"])
    seen = await context_of(bob, thread)
    assert (seen["system"], seen["tools"], seqs(seen)) == (None, None, [1])

    await give_role(alice, "bob", "viewer", "agent", agent["id"])
    assert (await context_of(bob, thread))["system"] == "A secret."
    assert (await context_of(admin, thread))["system"] == "A secret."


@pytest.mark.parametrize(
    "query, name",
    [
        ({"provider": "nobody"}, "provider"),
        ({"provider": "openai"}, "model"),
        ({"model": ""}, "model"),
        ({"strategy": "forget"}, "strategy"),
        ({"strategy": '{"strategy": "last_n", "n": 0}'}, "strategy"),
        ({"strategy": '{"strategy": "last_n", "m": 3}'}, "strategy"),
        ({"strategy": "{"}, "strategy"),
        ({"strategy": json.dumps({"strategy": ["last_n"]})}, "strategy"),
    ],
)
async def test_unknown_parameters_are_refused(shared_service: Service, query: dict[str, str], name: str) -> None:
    alice = await shared_service.user("alice")
    thread = await make_thread(alice)

    problem = check_problem(await alice.get(f"/threads/{thread['id']}/context", params=query), 422, "invalid_request")

    assert problem["errors"][0]["loc"] == ["query", name]


async def test_without_a_key_or_a_thread_there_is_nothing_to_see(small_service: Service) -> None:
    alice, anonymous = await small_service.user("alice"), await small_service.anonymous()
    thread = await make_thread(alice)

    check_problem(await anonymous.get(f"/threads/{thread['id']}/context"), 401, "unauthorized")
    check_problem(await alice.get(f"/threads/{UNKNOWN_ID}/context?provider=nobody"), 404, "not_found")


async def test_a_deleted_agents_thread_still_has_its_context(small_service: Service) -> None:
    alice = await small_service.user("alice")
    agent = await make_agent(alice, system_prompt="Be brief.")
    thread = await make_thread(alice, agent["id"], messages=said(2))
    assert (await alice.delete(f"/agents/{agent['id']}")).status_code == 204

    assert seqs(await context_of(alice, thread)) == [1, 2]


@pytest.mark.parametrize("strategy", ["last_n", "first_last", "token_window", "summarize"])
async def test_what_a_provider_refused_is_told_of_and_not_sent(
    service: Service, alice: httpx.AsyncClient, strategy: str
) -> None:
    thread = await make_thread(alice, messages=said(5))
    refuse = update(MessageTable).where(MessageTable.thread_id == thread["id"], MessageTable.seq.in_([1, 2, 5]))
    await service.container.conn.database.write(lambda c: c.execute(refuse.values(refused=True)).close())

    context = await context_of(alice, thread, strategy=strategy)

    assert seqs(context) == [3, 4]
    assert [(each["seq"], each["role"], each["reason"]) for each in context["left_out"]] == [
        (1, "user", "refused"),
        (2, "assistant", "refused"),
        (5, "user", "refused"),
    ]
    assert all(each["tokens"] > 0 for each in context["left_out"])
    history = (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"]
    assert [message["seq"] for message in history] == [1, 2, 3, 4, 5]


async def test_of_a_long_thread_only_newer_refused_messages_are_told_of(
    service: Service, alice: httpx.AsyncClient
) -> None:
    agent = await make_agent(alice)
    thread = await service.container.threads.create(agent["id"], messages=said(300), owner_id="alice")
    refuse = update(MessageTable).where(MessageTable.thread_id == thread["id"], MessageTable.seq.in_([1, 150, 300]))
    await service.container.conn.database.write(lambda c: c.execute(refuse.values(refused=True)).close())

    context = await context_of(alice, thread, strategy='{"strategy": "last_n", "n": 1}')

    assert [each["seq"] for each in context["left_out"] if each["reason"] == "refused"] == [150, 300]


async def note_call(service: Service, thread: Mapping[str, Any], minute: int, **facts: Any) -> None:
    row = {
        "id": new_id(),
        "run_id": new_id(),
        "thread_id": thread["id"],
        "provider": "anthropic",
        "model": "claude-next",
        "input_tokens": 1,
        "estimated": False,
        "outcome": "completed",
        "created_at": f"2026-01-31T12:{minute:02}:00.000000Z",
    }
    await service.container.conn.database.write(lambda c: c.execute(insert(ModelCallTable), row | facts).close())


async def test_the_last_call_tells_how_much_came_from_the_cache(service: Service, alice: httpx.AsyncClient) -> None:
    thread, another = await make_thread(alice, messages=said(1)), await make_thread(alice)
    asked = {"provider": "anthropic", "model": "claude-next"}
    assert (await context_of(alice, thread, **asked))["last_call"] is None

    await note_call(service, thread, 1, input_tokens=10, cached_input_tokens=5)
    await note_call(service, thread, 2, input_tokens=1_000, cached_input_tokens=900)
    await note_call(service, thread, 3, outcome="failed")
    await note_call(service, thread, 4, run_id=None)
    await note_call(service, thread, 5, model="claude-other")
    await note_call(service, another, 6)

    context = await context_of(alice, thread, **asked)
    assert context["last_call"] == {"input_tokens": 1_000, "cached_input_tokens": 900, "cached_share": 0.9}
    context = await context_of(alice, thread, provider="anthropic", model="claude-other")
    assert context["last_call"] == {"input_tokens": 1, "cached_input_tokens": None, "cached_share": None}


async def upload(client: httpx.AsyncClient, name: str, content: bytes) -> dict[str, Any]:
    response = await client.post("/files", files={"file": (name, content)})
    assert response.status_code == 201, response.text
    file: dict[str, Any] = response.json()
    return {"type": "file", "file_id": file["id"]}


def files_of(context: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    """Each file's name, how it is sent, and its text."""
    parts = [part for message in context["messages"] for part in message["parts"] if part["type"] == "file"]
    return [(part["filename"], part["sent_as"], part.get("text")) for part in parts]


async def test_a_file_says_how_it_is_sent(service: Service, alice: httpx.AsyncClient) -> None:
    files = [
        await upload(alice, "cat.png", samples.png()),
        await upload(alice, "a.pdf", samples.pdf("Page one", "Page two")),
        await upload(alice, "notes.txt", b"Remember."),
    ]
    thread = await make_thread(
        alice, messages=[{"role": "user", "content": [{"type": "text", "text": "Look"}, *files]}]
    )

    seeing = await context_of(alice, thread, provider="anthropic", model="claude-sonnet-4-20250514")
    blind = await context_of(alice, thread, provider="ollama", model="llama3.1")

    assert files_of(seeing) == [("cat.png", "data", None), ("a.pdf", "data", None), ("notes.txt", "text", "Remember.")]
    assert files_of(blind) == [
        ("cat.png", "name", None),
        ("a.pdf", "text", "Page one\n\nPage two"),
        ("notes.txt", "text", "Remember."),
    ]
    history = (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"]
    assert "sent_as" not in history[0]["parts"][1]


async def test_the_text_of_a_file_is_shown_as_the_model_gets_it(service: Service, alice: httpx.AsyncClient) -> None:
    provider = ScriptedProvider("Read.")
    service.container.providers.add(provider)
    rule = {"type": "blocklist", "patterns": ["swordfish"], "stage": "input", "action": "redact"}
    agent = await make_agent(alice, provider="scripted", model="m", guardrails=[rule])
    file = await upload(alice, "notes.txt", b"The word is swordfish, and that is all.")
    thread = await make_thread(alice, agent["id"], messages=[{"role": "user", "content": [file]}])

    before = await context_of(alice, thread)
    assert (await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Read it."})).status_code == 201

    (sent,) = provider.requests[0].messages[0].parts
    assert isinstance(sent, FilePart)
    assert sent.content is not None
    assert files_of(before) == [("notes.txt", "text", "The word is [redacted], and that is all.")]
    assert sent.content.text == "The word is [redacted], and that is all."
    # A later rule hides what an earlier one did not.
    later = rule | {"patterns": ["swordfish", "that is all"]}
    assert (await alice.patch(f"/agents/{agent['id']}", json={"guardrails": [later]})).status_code == 200
    assert files_of(await context_of(alice, thread)) == [
        ("notes.txt", "text", "The word is [redacted], and [redacted].")
    ]


async def test_files_are_read_after_the_database(
    service: Service, alice: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await upload(alice, "notes.txt", b"Remember.")
    thread = await make_thread(alice, messages=[{"role": "user", "content": [file]}])
    database = service.container.conn.database
    open_reads = 0
    reading, read_blob = database.read, DiskStore.read

    async def read(*arguments: Any, **options: Any) -> Any:
        nonlocal open_reads
        open_reads += 1
        try:
            return await reading(*arguments, **options)
        finally:
            open_reads -= 1

    async def read_outside(self: DiskStore, sha256: str) -> bytes:
        assert open_reads == 0
        return await read_blob(self, sha256)

    monkeypatch.setattr(database, "read", read)
    monkeypatch.setattr(DiskStore, "read", read_outside)

    assert files_of(await context_of(alice, thread)) == [("notes.txt", "text", "Remember.")]
