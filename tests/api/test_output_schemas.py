"""Agents with an output schema, and agents that use OpenAI's Responses API."""

import json

from ai_agents.testing import ScriptedProvider
from tests.api.service import Service, check_problem, give_role, make_agent, make_thread

SCHEMA = {
    "type": "object",
    "properties": {"summary": {"type": "string", "maxLength": 20}, "score": {"type": "integer", "minimum": 1}},
    "required": ["summary", "score"],
    "additionalProperties": False,
}


async def test_the_answer_is_json_that_fits(small_service: Service) -> None:
    alice = await small_service.user("alice")
    agent = await make_agent(alice, output_schema=SCHEMA)
    thread = await make_thread(alice, agent["id"])

    response = await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hello!"})

    assert response.status_code == 201
    assert json.loads(response.json()["content"]) == {"summary": "Hello!", "score": 1}


async def test_an_answer_that_never_fits_is_the_providers_failure(small_service: Service) -> None:
    alice = await small_service.user("alice")
    impossible = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^[0-9]+$"}}, "required": ["a"]}
    agent = await make_agent(alice, output_schema=impossible)
    thread = await make_thread(alice, agent["id"])

    response = await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hello!"})

    check_problem(response, 502, "provider_error")
    assert "output schema" in response.json()["detail"]
    run = (await alice.get(f"/threads/{thread['id']}/runs/{response.json()['run_id']}")).json()
    broken = "The answer does not fit the output schema: it breaks /properties/a/pattern."
    assert run["upstream"] == {"status": None, "message": broken}
    page = (await alice.get(f"/threads/{thread['id']}/messages")).json()
    assert [message["role"] for message in page["data"]] == ["user"]


async def test_a_failure_tells_readers_of_the_thread_nothing_of_the_schema_or_the_answer(service: Service) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    hidden = {"type": "object", "properties": {"a": {"enum": ["SECRET-OF-THE-SCHEMA"]}}, "required": ["a"]}
    service.container.providers.add(ScriptedProvider(*['{"a": "SECRET-OF-THE-ANSWER"}'] * 3))
    agent = await make_agent(alice, provider="scripted", output_schema=hidden)
    thread = await make_thread(alice, agent["id"])
    await give_role(alice, "bob", "viewer", "thread", thread["id"])
    path = f"/threads/{thread['id']}"

    response = await alice.post(f"{path}/messages", json={"content": "Hello!"})

    run = f"{path}/runs/{response.json()['run_id']}"
    listed = {"accept": "application/json"}
    seen = [response, await bob.get(f"{path}/runs"), await bob.get(run), await bob.get(f"{run}/events")]
    seen += [await bob.get(f"{path}/events", headers=listed), await alice.get(run), await bob.get(f"{path}/messages")]
    for answer in seen:
        assert "SECRET" not in answer.text
        assert "enum" not in answer.text or answer is seen[5]
    assert "upstream" not in seen[2].json()


async def test_a_schema_that_is_none_is_refused_where_it_stands(small_service: Service) -> None:
    alice = await small_service.user("alice")
    agent = await make_agent(alice)

    response = await alice.patch(f"/agents/{agent['id']}", json={"output_schema": {"type": "object", "required": "a"}})

    check_problem(response, 422, "invalid_request")
    assert response.json()["errors"][0]["loc"] == ["body", "output_schema"]


async def test_only_openai_has_another_api(small_service: Service) -> None:
    alice = await small_service.user("alice")

    taken = await alice.post("/agents", json={"name": "a", "provider": "openai", "settings": {"api": "responses"}})
    refused = await alice.post("/agents", json={"name": "a", "provider": "ollama", "settings": {"api": "responses"}})

    assert taken.json()["settings"]["api"] == "responses"
    check_problem(refused, 422, "invalid_request")
