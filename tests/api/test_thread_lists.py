"""Finding threads: by words of their titles, by metadata, by user; and the pages of what is found."""

from typing import Any

import httpx
import pytest

from tests.api.service import Service, check_problem, give_role, make_agent, make_thread


async def _found(client: httpx.AsyncClient, **query: Any) -> list[str]:
    """The titles that are found, of all pages."""
    titles, after = [], None
    while True:
        page = (await client.get("/threads", params=query | ({"after": after} if after else {}))).json()
        titles += [thread["title"] for thread in page["data"]]
        after = page["next"]
        if after is None:
            return titles


async def test_titles_are_found_in_any_case_and_literally(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    # So that a search goes over several reads of titles.
    monkeypatch.setattr("ai_agents.store.text_filter._FIRST", 2)
    alice, admin = await service.user("alice"), await service.admin()
    agent = await make_agent(alice)
    titles = ["Straße 100%", "ÄRGER", "a_b", "Ελλάς", "axb", None, "ärger again"]
    for title in titles:
        await make_thread(alice, agent["id"], title=title)

    for client in (alice, admin):
        assert await _found(client, q="ärger") == ["ärger again", "ÄRGER"]
        assert await _found(client, q="A\u0308rger", limit=1) == ["ärger again", "ÄRGER"]
        assert await _found(client, q="STRASSE") == ["Straße 100%"]
        assert await _found(client, q="ΕΛΛΆΣ") == ["Ελλάς"]
        assert await _found(client, q="A_B") == ["a_b"]
        assert await _found(client, q="%") == ["Straße 100%"]
        assert await _found(client, q="none of these") == []
    assert await _found(await service.user("bob"), q="ärger") == []
    check_problem(await alice.get("/threads", params={"q": ""}), 422, "invalid_request")


async def test_metadata_is_compared_exactly(service: Service) -> None:
    alice = await service.user("alice")
    agent = await make_agent(alice)
    metadata = {
        "text": {"case": "a1", "plan": "x"},
        "upper": {"case": "A1"},
        "number": {"case": 7},
        "boolean": {"case": True},
        "nothing": {"case": None},
        "deep": {"case": {"a": "a1"}, 'a."b$': "y"},
    }
    for title, value in metadata.items():
        await make_thread(alice, agent["id"], title=title, metadata=value)

    for value, expected in (("a1", "text"), ("A1", "upper"), ("7", "number"), ("true", "boolean")):
        assert await _found(alice, **{"metadata.case": value}) == [expected]
    assert await _found(alice, **{"metadata.case": "a1", "metadata.plan": "x"}) == ["text"]
    assert await _found(alice, **{"metadata.case": "a1", "metadata.plan": "y"}) == []
    assert await _found(alice, **{'metadata.a."b$': "y"}) == ["deep"]
    for value in ("null", "1", '{"a":"a1"}', "a"):
        assert await _found(alice, **{"metadata.case": value}) == []
    assert await _found(alice, **{"metadata.case": "a1", "q": "TEXT"}) == ["text"]


async def test_filters_of_metadata_are_three_at_most_and_have_a_key(small_service: Service) -> None:
    alice = await small_service.user("alice")

    for query in ("&".join(f"metadata.{n}=1" for n in range(4)), "metadata.=1", "metadata.a=%00", "metadata=1"):
        check_problem(await alice.get(f"/threads?{query}"), 422, "invalid_request")
    # Where nothing is filtered so, such a parameter is not known.
    check_problem(await alice.get("/agents?metadata.a=1"), 422, "invalid_request")


async def test_an_admin_lists_the_threads_of_a_user(small_service: Service) -> None:
    alice, bob = await small_service.user("alice"), await small_service.user("bob")
    admin = await small_service.admin()
    await make_thread(alice, title="hers")
    thread = await make_thread(bob, title="shared")
    await give_role(bob, "alice", "viewer", "thread", thread["id"])

    assert await _found(admin, user_id="alice") == ["shared", "hers"]
    assert await _found(admin, user_id="bob") == ["shared"]
    assert await _found(bob, user_id="bob") == ["shared"]
    check_problem(await bob.get("/threads", params={"user_id": "alice"}), 403, "forbidden")
