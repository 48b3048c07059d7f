"""Functions of the client, at the door of Responses."""

from ai_agents.testing import tool_call
from tests.api.live import Live
from tests.doors.responses_caller import calling, texts_of
from tests.doors.support import check_openai_error

LOOK = {
    "type": "function",
    "name": "look_up",
    "description": "Looks it up.",
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
}


async def test_the_clients_functions_are_called_by_the_client_and_go_on_where_it_answers(live: Live) -> None:
    calls = [tool_call("look_up", word="six"), tool_call("look_up", word="seven")]
    again = [tool_call("look_up", word="eight")]
    async with calling(live, ["I look. ", *calls], again, "It is 42.") as caller:
        first = await caller.sdk.responses.create(model=caller.model, input="Six times seven?", tools=[LOOK])
        assert first.status == "completed"
        asked = [item for item in first.output if item.type == "function_call"]
        assert [item.arguments for item in asked] == ['{"word":"six"}', '{"word":"seven"}']
        assert first.tools[0].type == "function"
        outputs = [{"type": "function_call_output", "call_id": item.call_id, "output": "6"} for item in asked]

        # The way of OpenAI's own guide: all that was said, again.
        said = [{"role": "user", "content": "Six times seven?"}, *[item.to_dict() for item in first.output], *outputs]
        second = await caller.respond(input=said, tools=[LOOK])
        assert [item["type"] for item in second["output"]] == ["function_call"]
        assert second["previous_response_id"] == first.id
        third = await caller.stream(
            input=[
                {"type": "function_call_output", "call_id": second["output"][0]["call_id"], "output": [
                    {"type": "input_text", "text": "8"}]}
            ],
            previous_response_id=second["id"],
        )  # fmt: skip
        assert texts_of(third[-1]["response"]) == ["It is 42."]
        assert third[-1]["response"]["previous_response_id"] == second["id"]
        assert await caller.replay(second["id"]) != await caller.replay(third[-1]["response"]["id"])
        assert (await caller.get(first.id))["tools"][0]["name"] == "look_up"
        assert len((await caller.http.get("/threads")).json()["data"]) == 1
        answers = await caller.sdk.responses.input_items.list(second["id"], limit=1)
        assert [item.type async for item in answers] == ["function_call_output"] * 2
        (question,) = (await caller.sdk.responses.input_items.list(first.id)).data
        assert question.to_dict()["content"] == [{"type": "input_text", "text": "Six times seven?"}]
        results = [message for message in caller.provider.requests[-1].messages if message.role == "tool"]
        assert len(results) == 3
        check_openai_error(await caller.post(input=outputs), 400, "conflict")


async def test_a_message_while_functions_of_the_client_wait_goes_on_without_them(small_live: Live) -> None:
    async with calling(small_live, [tool_call("look_up", word="six")], "Never mind.") as caller:
        first = await caller.respond(input="Six?", tools=[LOOK])
        second = await caller.respond(input="Forget it.", previous_response_id=first["id"])
        assert texts_of(second) == ["Never mind."]
        late = [{"type": "function_call_output", "call_id": first["output"][0]["call_id"], "output": "6"}]
        check_openai_error(await caller.post(input=late, previous_response_id=first["id"]), 400, "conflict")


async def test_which_functions_may_be_called_is_the_clients_choice_and_they_may_be_in_namespaces(
    small_live: Live,
) -> None:
    door = {"type": "function", "name": "open", "parameters": {"type": "object", "properties": {}}}
    tools = [LOOK, {"type": "namespace", "name": "door", "description": "Doors.", "tools": [door]}]
    call = tool_call("door__open")
    async with calling(small_live, "a", "b", "c", [call], "It is open.", "Done.") as caller:
        offered = []
        for choice in ("none", {"type": "function", "name": "look_up"}, "required"):
            await caller.respond(input="Hi", tools=tools, tool_choice=choice)
            request = caller.provider.requests[-1]
            offered.append(([tool.name for tool in request.tools], "by calling" in (request.system or "")))
        assert offered == [([], False), (["look_up"], True), (["look_up", "door__open"], True)]

        frames = await caller.stream(input="Open it.", tools=tools)
        asked = frames[-1]["response"]
        item = asked["output"][0]
        assert (item["name"], item["namespace"]) == ("open", "door")
        assert await caller.get(asked["id"]) == asked
        output = {"type": "function_call_output", "call_id": item["call_id"], "output": "open"}
        said = [{"role": "user", "content": "Open it."}, item, output]
        assert texts_of(await caller.respond(input=said, tools=tools)) == ["It is open."]
        # Said again, all of it is history: nothing waits for the answer any more.
        assert texts_of(await caller.respond(input=said, tools=tools)) == ["Done."]
        roles = [message.role for message in caller.provider.requests[-1].messages]
        assert roles == ["user", "assistant", "tool", "user"]
