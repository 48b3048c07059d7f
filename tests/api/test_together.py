"""What people do at once: talk on while a run waits, decide, give results, retry, and look for it afterwards."""

import asyncio

from ai_agents.testing import ScriptedProvider, tool_call
from tests.api.live import TIMEOUT_S
from tests.api.service import Service, check_problem, make_agent, make_thread


async def test_a_message_joins_a_run_that_waits_for_its_client_and_for_a_person_and_its_answer_is_retried(
    service: Service,
) -> None:
    alice = await service.user("alice")
    looked, counted = tool_call("look", place="Oslo"), tool_call("calculator", expression="6*7")
    service.container.providers.add(ScriptedProvider([looked, counted], "Both done.", "Better words."))
    agent = await make_agent(alice, provider="scripted", tools=[{"name": "calculator", "approval": "always"}])
    thread = await make_thread(alice, agent["id"])
    path = f"/threads/{thread['id']}"

    async def found(q: str) -> list[str]:
        return [hit["message"]["role"] for hit in (await alice.get("/search", params={"q": q})).json()["data"]]

    began = await alice.post(f"{path}/messages", json={"content": "How is it?", "tools": [{"name": "look"}]})
    run = f"{path}/runs/{began.json()['id']}"
    joined = {"content": "And the sea?", "on_busy": "steer"}
    steered = await alice.post(f"{path}/messages", json=joined, headers={"prefer": "respond-async"})
    assert (began.status_code, steered.status_code, steered.json()["status"]) == (202, 202, "waiting")
    assert steered.json()["id"] == began.json()["id"]
    check_problem(await alice.post(f"{path}/messages", json={"content": "Hello?"}), 409, "thread_busy")
    check_problem(await alice.post(f"{run}/retry"), 409, "thread_busy")
    assert (await found("sea"), (await alice.get(path)).json()["message_count"]) == ([], 2), "it has no place yet"

    (asked,) = (await alice.get("/approvals")).json()["data"]
    assert asked["tool_call_id"] == counted.tool_call_id
    for_person = {"results": [{"tool_call_id": counted.tool_call_id, "result": 1}]}
    check_problem(await alice.post(f"{run}/tool_results", json=for_person), 404, "not_found")
    for_client = {"tool_call_id": looked.tool_call_id, "approved": True}
    check_problem(await alice.post(f"{run}/approvals", json=for_client), 409, "conflict")

    given = {"results": [{"tool_call_id": looked.tool_call_id, "result": "grey"}]}
    decided = {"tool_call_id": counted.tool_call_id, "approved": True}
    answers = await asyncio.gather(
        alice.post(f"{run}/tool_results", json=given), alice.post(f"{run}/approvals", json=decided)
    )
    assert [answer.status_code for answer in answers] == [200, 200]
    async with asyncio.timeout(TIMEOUT_S):
        while (await alice.get(run)).json()["status"] != "completed":
            await asyncio.sleep(0.01)
    assert (await alice.get("/approvals")).json()["data"] == []
    history = (await alice.get(f"{path}/messages")).json()["data"]
    roles = [message["role"] for message in history]
    assert roles == ["user", "assistant", "tool", "tool", "user", "assistant"]
    assert sorted(message["content"] for message in history[2:4]) == ["42", "grey"]
    assert [message["content"] for message in history[4:]] == ["And the sea?", "Both done."]
    assert (await found("sea"), await found("done"), await found("grey")) == (["user"], ["assistant"], [])

    again = await alice.post(f"{run}/retry")
    assert (again.status_code, again.json()["content"]) == (201, "Better words.")
    assert (await found("done"), await found("better")) == ([], ["assistant"])
    shown = (await alice.get(path)).json()
    assert (shown["preview"], shown["message_count"], shown["running"]) == ("Better words.", 7, False)
    log = (await alice.get(f"{path}/events", params={"limit": 100}, headers={"accept": "application/json"})).json()
    assert [row["seq"] for row in log["data"]] == list(range(1, len(log["data"]) + 1))
