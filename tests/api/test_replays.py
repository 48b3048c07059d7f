"""A request that is repeated with its idempotency key shows what it showed first, to those who may see that now."""

import re
from typing import Any

import httpx
import pytest

from ai_agents.store import idempotency
from ai_agents.testing import ScriptedProvider
from tests.api.service import Service, check_problem, give_role, make_agent, make_thread

ONCE = {"idempotency-key": "once"}
RULE = {"type": "blocklist", "patterns": ["secret"], "stage": "input", "action": "block"}


async def take_role(client: httpx.AsyncClient, user_id: str, resource_type: str, resource_id: str) -> None:
    query = {"resource_type": resource_type, "resource_id": resource_id}
    roles = (await client.get("/roles", params=query)).json()["data"]
    role = next(each for each in roles if each["user_id"] == user_id)
    assert (await client.delete(f"/roles/{role['id']}")).status_code == 204


class Shared:
    """Alice's agent and thread; bob may write in the thread."""

    def __init__(self, alice: httpx.AsyncClient, bob: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
        self.alice, self.bob, self.admin = alice, bob, admin
        self.agent: dict[str, Any] = {}
        self.thread: dict[str, Any] = {}

    async def lose(self, kind: str, made: dict[str, Any]) -> None:
        """Take from bob the right to see what bob made."""
        if kind in {"message", "stream", "async"}:
            await take_role(self.alice, "bob", "thread", self.thread["id"])
        elif kind == "role":
            await take_role(self.alice, "bob", "thread", made["resource_id"])
        elif kind == "file":
            assert (await self.bob.delete(f"/files/{made['id']}")).status_code == 204
        else:
            resource_type = "agent" if kind == "agent" else "thread"
            await give_role(self.admin, "alice", "owner", resource_type, made["id"])
            await take_role(self.admin, "bob", resource_type, made["id"])


@pytest.fixture
async def shared(service: Service) -> Shared:
    service.container.providers.add(ScriptedProvider("Hello!", "Hello!"))
    shared = Shared(await service.user("alice"), await service.user("bob"), await service.admin())
    shared.agent = await make_agent(shared.alice, provider="scripted")
    shared.thread = await make_thread(shared.alice, shared.agent["id"])
    await give_role(shared.alice, "bob", "viewer", "agent", shared.agent["id"])
    return shared


def requests_of(shared: Shared, message_id: str) -> dict[str, tuple[str, dict[str, Any]]]:
    thread_id, agent_id = shared.thread["id"], shared.agent["id"]
    role = {"user_id": "carol", "role": "viewer", "resource_type": "thread", "resource_id": thread_id}
    return {
        "message": (f"/threads/{thread_id}/messages", {"json": {"content": "Hi"}}),
        "stream": (f"/threads/{thread_id}/messages", {"json": {"content": "Hi", "stream": True}}),
        "async": (f"/threads/{thread_id}/messages", {"json": {"content": "Hi"}}),
        "agent": ("/agents", {"json": {"name": "mine", "system_prompt": "hidden"}}),
        "thread": ("/threads", {"json": {"agent_id": agent_id, "title": "hidden"}}),
        "fork": (f"/threads/{thread_id}/fork", {"json": {"message_id": message_id}}),
        "role": ("/roles", {"json": role}),
        "file": ("/files", {"files": {"file": ("note.txt", b"hidden", "text/plain")}}),
    }


@pytest.mark.parametrize("kind", ["message", "stream", "async", "agent", "thread", "fork", "role", "file"])
async def test_a_repeated_request_shows_nothing_that_its_user_may_not_see_any_more(shared: Shared, kind: str) -> None:
    first = await shared.alice.post(f"/threads/{shared.thread['id']}/messages", json={"content": "Hi"})
    await give_role(shared.alice, "bob", "owner" if kind == "role" else "editor", "thread", shared.thread["id"])
    path, sent = requests_of(shared, first.json()["id"])[kind]
    headers = ONCE | ({"prefer": "respond-async"} if kind == "async" else {})
    made = await shared.bob.post(path, headers=headers, **sent)
    again = await shared.bob.post(path, headers=headers, **sent)
    assert made.status_code == again.status_code < 300, again.text
    if kind not in {"stream", "async"}:
        assert made.json() == again.json()

    await shared.lose(kind, {} if kind == "stream" else made.json())

    lost = await shared.bob.post(path, headers=headers, **sent)
    check_problem(lost, 404, "not_found")
    assert "hidden" not in lost.text
    assert "Hello!" not in lost.text


@pytest.fixture
def expiring(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """All keys expire after so many looks at the clock as the list's only item says."""
    left = [1_000]
    oldest = idempotency._oldest

    def look(_within_s: float | None = None) -> str:
        left[0] -= 1
        return oldest() if left[0] >= 0 else "2999-01-01T00:00:00.000000Z"

    monkeypatch.setattr(idempotency, "_oldest", look)
    return left


@pytest.mark.parametrize("looks", range(5))
async def test_a_key_that_expires_meanwhile_lets_nothing_in_that_no_guardrail_judged(
    service: Service, expiring: list[int], looks: int
) -> None:
    alice = await service.user("alice")
    agent = await make_agent(alice, guardrails=[RULE])
    body = {"agent_id": agent["id"], "messages": [{"role": "user", "content": "Hi"}]}
    first = await alice.post("/threads", json=body, headers=ONCE)
    assert first.status_code == 201
    expiring[0] = looks

    bad = {"agent_id": agent["id"], "messages": [{"role": "user", "content": "a secret"}]}
    refused = await alice.post("/threads", json=bad, headers=ONCE)

    assert refused.status_code == 422
    assert refused.json()["code"] in {"guardrail_blocked", "idempotency_key_reused"}
    expiring[0] = looks
    again = await alice.post("/threads", json=body, headers=ONCE)
    assert again.status_code == 201
    for thread in (await alice.get("/threads")).json()["data"]:
        assert "secret" not in (await alice.get(f"/threads/{thread['id']}/messages")).text


@pytest.mark.parametrize("looks", range(5))
async def test_a_message_whose_key_expires_meanwhile_is_judged(
    service: Service, expiring: list[int], looks: int
) -> None:
    service.container.providers.add(ScriptedProvider("One.", "Two."))
    alice = await service.user("alice")
    agent = await make_agent(alice, provider="scripted", guardrails=[RULE])
    path = f"/threads/{(await make_thread(alice, agent['id']))['id']}/messages"
    assert (await alice.post(path, json={"content": "Hi"}, headers=ONCE)).status_code == 201
    expiring[0] = looks
    refused = await alice.post(path, json={"content": "a secret"}, headers=ONCE)
    assert refused.status_code == 422
    assert "secret" not in (await alice.get(path)).text


async def test_a_repeated_stream_goes_on_after_the_event_that_the_client_has(shared: Shared) -> None:
    """As clients do that read the events of a POST and send it again after a cut."""
    alice, path = shared.alice, f"/threads/{shared.thread['id']}/messages"
    sent: dict[str, Any] = {"json": {"content": "Hi", "stream": True}}
    whole = (await alice.post(path, headers=ONCE, **sent)).text
    blocks = [each for each in whole.split("\n\n") if "id: " in each]
    ids = [re.findall("^id: (.*)$", each, re.MULTILINE)[0] for each in blocks]

    for position, event_id in enumerate(ids[:-1]):
        again = await alice.post(path, headers=ONCE | {"last-event-id": event_id}, **sent)
        assert re.findall("^id: (.*)$", again.text, re.MULTILINE)[-1] == ids[-1]
        assert all(other not in again.text.split() for other in ids[: position + 1])
    ended = await alice.post(path, headers=ONCE | {"last-event-id": ids[-1]}, **sent)
    assert ended.status_code == 204
    # What a client tells of another run's stream does not concern a new message.
    new = await alice.post(path, headers={"last-event-id": ids[-1]}, **sent)
    assert new.text.count("event: run.started") == new.text.count("event: run.completed") == 1
    check_problem(await alice.post(path, headers=ONCE | {"last-event-id": "no"}, **sent), 400, "invalid_event_id")
