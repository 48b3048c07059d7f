"""Tools of the client on the wire of each provider: told like the agent's, and their results like any other."""

import re
from typing import Any

import pytest

from ai_agents import ToolDefinition
from ai_agents.runner.handle import open_handle
from tests.fakes.answers import Answer, Call, Text, say
from tests.fakes.provider_server import FakeProviderServer
from tests.unit.runner.failing import USER, make_thread
from tests.wire.requests import FORMATS

PLACE = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
OUTSIDE = ToolDefinition("look_outside", "Looks out of the window.", PLACE)
_SCHEMAS = {"gemini": "parametersJsonSchema", "anthropic": "input_schema"}


def tools_of(wire: str, body: Any) -> dict[str, tuple[str, Any]]:
    """The description and parameters of each tool in a request, by its name."""
    tools = body["tools"][0]["functionDeclarations"] if wire == "gemini" else body["tools"]
    tools = [tool.get("function", tool) for tool in tools]
    return {tool["name"]: (tool["description"], tool[_SCHEMAS.get(wire, "parameters")]) for tool in tools}


@pytest.mark.parametrize("wire", FORMATS)
async def test_the_clients_tools_are_sent_and_their_results_after_the_calls(wire: str, sqlite_url: str) -> None:
    async with FakeProviderServer() as fake, await open_handle(sqlite_url) as conn:
        thread = await make_thread(conn, fake, wire)
        calls = [Call("look_outside", {"place": "Oslo"}), Call("counter", {"expression": "6*7"})]
        fake.script(wire, [Answer([Text(("Wait.",)), *calls]), say("It rains."), say("Bye.")])
        started = await thread.runner.start(thread.id, USER, "How is it?", client_tools=(OUTSIDE,))
        run_id = started.run["id"]
        (call,) = (await thread.runner.wait(thread.id, run_id)).client_calls
        await thread.runner.give_results(
            thread.id, run_id, USER, [{"tool_call_id": call.tool_call_id, "result": "grey sky"}]
        )
        assert (await thread.runner.wait(thread.id, run_id)).run["status"] == "completed"
        # Later requests have the calls in their history, and the tool no more.
        assert (await thread.ask("Thanks.")).run["status"] == "completed"
        await thread.pool.aclose()
        first, second, third = fake.received(wire)
        assert [request.refused for request in fake.requests] == [None] * 3
        told = tools_of(wire, first.json)
        assert list(told) == ["counter", "look_outside"]
        description, parameters = told["look_outside"]
        assert description == OUTSIDE.description
        assert parameters["properties"] == PLACE["properties"]
        assert tools_of(wire, second.json) == told
        assert list(tools_of(wire, third.json)) == ["counter"]
        for request in (second, third):
            # The results stand after the calls, in the order of the calls.
            sent = request.body.decode().partition("Wait.")[2]
            assert re.search("look_outside.*counter.*grey sky.*42", sent, re.DOTALL), sent
