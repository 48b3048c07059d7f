"""What a reader is told of what they may do: their role on threads and agents, and what they said of answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

from tests.api.service import Service, give_role, make_agent, make_thread
from tests.api.test_feedback import answer_of


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are made meanwhile."""
    made: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        made.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield made
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_threads_and_agents_say_which_role_the_reader_has(service: Service) -> None:
    alice, bob, carol = [await service.user(name) for name in ("alice", "bob", "carol")]
    admin = await service.admin()
    agent = await make_agent(alice)
    thread = await make_thread(alice, agent["id"])
    path = f"/threads/{thread['id']}"
    assert agent["role"] == "owner"
    assert (thread["role"], thread["agent_role"]) == ("owner", "owner")

    async def roles(client: Any, **query: Any) -> tuple[Any, Any]:
        """The roles as the thread says them, which its list says, too."""
        one = (await client.get(path)).json()
        many = (await client.get("/threads", params=query)).json()["data"]
        assert one in many
        return one["role"], one["agent_role"]

    await give_role(alice, "bob", "viewer", "thread", thread["id"])
    assert await roles(bob) == ("viewer", None)
    await give_role(admin, "*", "editor", "thread", thread["id"])
    assert await roles(bob) == ("editor", None), "what every user may, the reader may"
    assert await roles(carol, shared="true") == ("editor", None)
    assert await roles(admin) == ("editor", None)
    await give_role(alice, "bob", "user", "agent", agent["id"])
    assert await roles(bob) == ("editor", "user")
    assert (await bob.get(f"/agents/{agent['id']}")).json() == {
        name: agent[name] for name in ("id", "name", "description")
    } | {"role": "user"}
    renamed = (await bob.patch(path, json={"title": "Ours"})).json()
    assert (renamed["role"], renamed["agent_role"]) == ("editor", "user")

    await give_role(alice, "bob", "editor", "agent", agent["id"])
    for client, role in ((alice, "owner"), (bob, "editor"), (admin, None)):
        assert (await client.get(f"/agents/{agent['id']}")).json()["role"] == role
        assert [each["role"] for each in (await client.get("/agents")).json()["data"]] == [role]
    changed = (await bob.patch(f"/agents/{agent['id']}", json={"name": "another"})).json()
    assert changed["role"] == "editor"
    versions = (await bob.get(f"/agents/{agent['id']}/versions")).json()["data"]
    assert not any("role" in version for version in versions)

    narrow = (await bob.post("/tokens", json={"agents": [agent["id"]]})).json()["token"]
    token = {"authorization": f"Bearer {narrow}"}
    assert (await bob.get(path, headers=token)).json()["agent_role"] == "user"
    assert (await bob.get("/threads", headers=token)).json()["data"][0]["agent_role"] == "user"
    assert (await bob.get("/agents", headers=token)).json()["data"][0]["role"] == "user"

    assert (await alice.delete(f"/agents/{agent['id']}")).status_code == 204
    assert await roles(alice) == ("owner", None), "there is no role on an agent that is gone"


async def test_a_reader_finds_what_they_said_of_answers(small_service: Service) -> None:
    alice, bob = await small_service.user("alice"), await small_service.user("bob")
    thread = await make_thread(alice)
    await give_role(alice, "bob", "viewer", "thread", thread["id"])
    (first, _), (second, _) = [await answer_of(alice, thread["id"]) for _ in range(2)]
    await alice.put(first, json={"rating": -1, "comment": "Why?"})
    await bob.put(second, json={"rating": 1})

    async def said(client: Any) -> list[Any]:
        page = (await client.get(f"/threads/{thread['id']}/messages")).json()["data"]
        for message in page:
            assert (await client.get(f"/threads/{thread['id']}/messages/{message['id']}")).json() == message
        return [message.get("feedback") for message in page]

    assert await said(alice) == [None, {"rating": -1, "comment": "Why?"}, None, None]
    assert await said(bob) == [None, None, None, {"rating": 1, "comment": None}]
    await alice.put(first, json={})
    assert await said(alice) == [None] * 4


async def test_lists_cost_as_many_statements_however_long_they_are(service: Service) -> None:
    alice = await service.user("alice")
    thread = await make_thread(alice)
    lists = ("/threads", "/agents", f"/threads/{thread['id']}/messages")

    async def cost() -> list[int]:
        statements = []
        for path in lists:
            with counted() as made:
                assert (await alice.get(path)).status_code == 200
            statements.append(len(made))
        return statements

    await alice.put((await answer_of(alice, thread["id"]))[0], json={"rating": 1})
    before = await cost()
    for _ in range(3):
        await make_thread(alice)
        await alice.put((await answer_of(alice, thread["id"]))[0], json={"rating": 1})
    assert await cost() == before
