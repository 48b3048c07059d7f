"""OpenAI's own client, and plain HTTP, at the door of Responses."""

import asyncio
import base64
from collections.abc import Sequence
from typing import Any

import openai
import pytest

from ai_agents.core.exceptions import ProviderRejected, ProviderTruncated
from ai_agents.testing import tool_call
from tests.api.live import TIMEOUT_S, Live
from tests.api.service import UNKNOWN_ID
from tests.doors.openresponses import check_response
from tests.doors.responses_caller import CALCULATOR, CAREFUL, calling, frames_of, texts_of
from tests.doors.support import check_openai_error
from tests.doors.test_responses_functions import LOOK
from tests.fakes.samples import png
from tests.support.trimming import trim_logs


async def test_openais_client_gets_a_response_whole_and_streamed_and_goes_on_from_it(live: Live) -> None:
    async with calling(live, "Hello, how are you?", "Fine, too.", "Bye.") as caller:
        whole = await caller.sdk.responses.create(model=caller.model, input="Hi", metadata={"a": "b"})
        assert (whole.output_text, whole.status, whole.metadata) == ("Hello, how are you?", "completed", {"a": "b"})
        assert whole.usage is not None
        assert whole.usage.total_tokens == 15
        check_response(whole.model_dump(exclude_unset=True, mode="json"))
        assert await caller.get(whole.id) == whole.model_dump(exclude_unset=True, mode="json")

        async with caller.sdk.responses.stream(
            model=caller.model, input=[{"role": "user", "content": "And you?"}], previous_response_id=whole.id
        ) as stream:
            text = "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])
            streamed = await stream.get_final_response()
        assert text == streamed.output_text == "Fine, too."
        assert streamed.previous_response_id == whole.id
        # It was the last of its conversation, so that the model sees what was said before.
        assert [message.role for message in caller.provider.requests[-1].messages] == ["user", "assistant", "user"]

        found = (await caller.http.get("/threads")).json()["data"]
        assert len(found) == 1
        in_conversation = await caller.sdk.responses.create(input="Bye", conversation=f"conv_{_hex(found[0]['id'])}")
        assert in_conversation.output_text == "Bye."
        assert len(caller.provider.requests[-1].messages) == 5


def _hex(our_id: str) -> str:
    return our_id.replace("-", "")


async def test_a_response_that_is_not_the_last_is_gone_on_from_in_a_fork(small_live: Live) -> None:
    async with calling(small_live, "one", "two", "other two") as caller:
        first = await caller.respond(input="1")
        await caller.respond(input="2", previous_response_id=first["id"])
        other = await caller.respond(input="3", previous_response_id=first["id"], stream=False)
        said = [message.parts[0] for message in caller.provider.requests[-1].messages]
        assert [getattr(part, "text", "") for part in said] == ["1", "one", "3"]
        assert texts_of(other) == ["other two"]
        assert len((await caller.http.get("/threads")).json()["data"]) == 2


async def test_calls_that_are_made_here_are_items_of_their_own_kind(small_live: Live) -> None:
    call = tool_call("calculator", expression="6*7")
    wrong = tool_call("calculator", expression="(")
    async with calling(small_live, ["Let me see. ", call, wrong], "It is 42.", tools=CALCULATOR) as caller:
        frames = await caller.stream(input="What is six times seven?")
        response = frames[-1]["response"]
        assert [item["type"] for item in response["output"]] == ["message", "mcp_call", "mcp_call", "message"]
        assert [item.get("output") for item in response["output"][1:3]] == ["42", None]
        assert response["output"][2]["error"]["type"] == "mcp_tool_execution_error"
        assert response["usage"]["input_tokens"] == 20
        assert await caller.get(response["id"]) == response
        # OpenAI's agents run every function call themselves, and must not run these.
        parsed = await caller.sdk.responses.retrieve(response["id"])
        assert [item.type for item in parsed.output] == ["message", "mcp_call", "mcp_call", "message"]


async def test_a_finished_response_is_replayed_under_the_same_numbers_from_any_of_them(live: Live) -> None:
    call = tool_call("calculator", expression="6*7")
    async with calling(live, ["I count: ", call], ["It is ", "forty-", "two", " 🎉."], tools=CALCULATOR) as caller:
        streamed = await caller.stream(input="?")
        response_id = streamed[-1]["response"]["id"]
        assert await caller.replay(response_id) == streamed
        for number in (0, 5, len(streamed) // 2, len(streamed) - 2):
            assert await caller.replay(response_id, starting_after=number) == streamed[number + 1 :]
        assert await caller.replay(response_id, starting_after=len(streamed) - 1) == []
        beyond = {"stream": True, "starting_after": len(streamed)}
        refused = await caller.http.get(f"/v1/responses/{response_id}", params=beyond)
        assert check_openai_error(refused, 400, "invalid_request")["param"] == "starting_after"


async def test_a_response_in_the_background_is_followed_from_any_number_and_may_be_cancelled(live: Live) -> None:
    goes_on = asyncio.Event()
    async with calling(live, ["Once upon a time, ", goes_on, "the end."], ["Never ", asyncio.Event()]) as caller:
        begun = await caller.sdk.responses.create(model=caller.model, input="Tell me", background=True)
        assert (begun.status, begun.background) == ("in_progress", True)
        seen: list[Any] = []
        async with asyncio.timeout(TIMEOUT_S):
            async with await caller.sdk.responses.retrieve(begun.id, stream=True) as stream:
                async for event in stream:
                    seen.append(event)
                    if event.type == "response.output_text.delta" and event.delta == "time":
                        break
            goes_on.set()
            last = seen[-1].sequence_number
            async with await caller.sdk.responses.retrieve(begun.id, stream=True, starting_after=last) as stream:
                seen += [event async for event in stream]
        assert [event.sequence_number for event in seen] == list(range(len(seen)))
        text = "".join(event.delta for event in seen if event.type == "response.output_text.delta")
        assert text == "Once upon a time, the end."
        assert seen[-1].response.output_text == text

        endless = await caller.sdk.responses.create(model=caller.model, input="More", background=True, stream=True)
        async with asyncio.timeout(TIMEOUT_S):
            async for event in endless:
                if event.type == "response.output_text.delta":
                    break
            newest = (await caller.http.get("/runs")).json()["data"][0]["id"]
            cancelled = await caller.sdk.responses.cancel(f"resp_{_hex(newest)}")
            left = [event async for event in endless]
        assert (cancelled.status, cancelled.output_text) == ("cancelled", "Never ")
        assert left[-1].type == "response.incomplete"
        assert left[-1].response.status == "cancelled"


async def test_an_approval_ends_a_response_and_its_answer_begins_the_next(live: Live) -> None:
    calls = [tool_call("calculator", expression="6*7"), tool_call("calculator", expression="6*8")]
    async with calling(live, ["I ask. ", *calls], "It is 42.", tools=CAREFUL) as caller:
        asked = await caller.sdk.responses.create(model=caller.model, input="Six times seven?")
        assert asked.status == "completed"
        requests = [item for item in asked.output if item.type == "mcp_approval_request"]
        assert [request.arguments for request in requests] == ['{"expression":"6*7"}', '{"expression":"6*8"}']
        answers = [
            {"type": "mcp_approval_response", "approval_request_id": request.id, "approve": number == 0}
            for number, request in enumerate(requests)
        ]

        part = await caller.post(input=answers[:1], previous_response_id=asked.id)
        assert check_openai_error(part, 400, "invalid_request")["param"] == "input"
        busy = await caller.post(input="Hello?", previous_response_id=asked.id)
        check_openai_error(busy, 409, "thread_busy")
        assert busy.headers["x-should-retry"] == "false"

        frames = await caller.stream(input=answers, previous_response_id=asked.id)
        response = frames[-1]["response"]
        assert [item["type"] for item in response["output"]] == ["mcp_call", "message"]
        assert response["output"][0]["approval_request_id"] == requests[0].id
        assert response["previous_response_id"] == asked.id
        assert texts_of(response) == ["It is 42."]
        assert await caller.get(response["id"]) == response
        assert await caller.replay(response["id"]) == frames
        assert (await caller.get(asked.id))["status"] == "completed"
        said = await caller.sdk.responses.input_items.list(response["id"], order="asc")
        assert [(item.type, getattr(item, "approve", None)) for item in said.data] == [
            ("mcp_approval_response", True),
            ("mcp_approval_response", False),
        ]
        # The same answers again: refused, but where the client says that it only tries again.
        check_openai_error(await caller.post(input=answers, previous_response_id=asked.id), 400, "conflict")
        body = {"model": caller.model, "stream": True, "input": answers, "previous_response_id": asked.id}
        again = await caller.http.post("/v1/responses", json=body, headers={"x-stainless-retry-count": "1"})
        assert frames_of(again) == frames


async def test_failures_before_and_after_the_first_token_are_responses_that_failed(small_live: Live) -> None:
    broken = ["Well, ", ProviderTruncated("It broke off.")]
    answers = [ProviderRejected("No."), ProviderRejected("No."), broken, "Better."]
    async with calling(small_live, *answers) as caller:
        whole = await caller.sdk.responses.create(model=caller.model, input="Hi")
        assert (whole.status, str(whole.error and whole.error.code)) == ("failed", "provider_rejected")
        frames = await caller.stream(input="Hi")
        assert frames[-1]["type"] == "response.failed"
        assert frames[-1]["response"]["error"]["code"] == "provider_rejected"

        # An answer that broke off is begun anew: who has seen its text is told so, and finds the new one.
        frames = await caller.stream(input="Hi")
        assert (frames[-1]["type"], frames[-1]["error"]["code"]) == ("error", "answer_restarted")
        response_id = frames[0]["response"]["id"]
        void = {"stream": True, "starting_after": frames[-2]["sequence_number"]}
        refused = await caller.http.get(f"/v1/responses/{response_id}", params=void)
        assert "starting_after=1" in check_openai_error(refused, 400, "invalid_request")["message"]
        again = await caller.replay(response_id, starting_after=1)
        assert texts_of(again[-1]["response"]) == ["Better."]


async def test_what_is_asked_for_wrongly_is_refused_and_leaves_no_thread(small_live: Live) -> None:
    rules = [{"type": "blocklist", "patterns": ["secret"], "stage": "both", "action": "block"}]
    async with calling(small_live, "Hello.", guardrails=rules) as caller:
        refused: Sequence[tuple[dict[str, Any], int, str, str | None]] = [
            ({"model": "nothing", "input": "Hi"}, 404, "model_not_found", "model"),
            ({"input": "Hi", "conversation": "conv_1"}, 404, "not_found", None),
            ({"input": "Hi", "previous_response_id": "resp_1"}, 404, "not_found", None),
            ({"input": "Hi", "previous_response_id": f"resp_{_hex(UNKNOWN_ID)}"}, 404, "not_found", None),
            ({"input": "Hi", "previous_response_id": "x", "conversation": "y"}, 400, "invalid_request", None),
            ({"input": []}, 400, "invalid_request", "input"),
            ({"input": [{"type": "computer_call"}]}, 400, "invalid_request", "input"),
            ({"input": "Hi", "background": True, "store": False}, 400, "invalid_request", "store"),
            ({"input": "Hi", "tools": [{"type": "web_search"}]}, 400, "invalid_request", "tools[0].type"),
            ({"input": "Hi", "tool_choice": "required"}, 400, "invalid_request", "tool_choice"),
            ({"input": "Hi", "tool_choice": {"type": "file_search"}}, 400, "invalid_request", "tool_choice"),
            ({"input": "Hi", "top_logprobs": 3}, 400, "invalid_request", "top_logprobs"),
            ({"input": "a secret"}, 400, "guardrail_blocked", None),
        ]
        for body, status, code, param in refused:
            error = check_openai_error(await caller.post(**body), status, code)
            if param is not None:
                assert (error["param"] or "").startswith(param), body
        assert (await caller.http.get("/threads")).json()["data"] == []
        with pytest.raises(openai.NotFoundError):
            await caller.sdk.responses.retrieve("resp_1")


async def test_others_find_no_response_and_one_that_was_deleted_is_found_by_none(small_live: Live) -> None:
    async with calling(small_live, "Hello.", "Again.") as caller:
        response = await caller.respond(input="Hi")
        path = f"/v1/responses/{response['id']}"
        bob = await small_live.user("bob")
        for answer in (await bob.get(path), await bob.delete(path), await bob.post(f"{path}/cancel")):
            check_openai_error(answer, 404, "not_found")
        assert (await caller.http.post(f"{path}/cancel")).json() == response
        await caller.sdk.responses.delete(response["id"])
        check_openai_error(await caller.http.get(path), 404, "not_found")
        # What was said stays.
        (thread,) = (await caller.http.get("/threads")).json()["data"]
        assert thread["message_count"] == 2

        unstored = await caller.respond(input="Hi", store=False)
        assert unstored["store"] is False
        check_openai_error(await caller.http.get(f"/v1/responses/{unstored['id']}"), 404, "not_found")


async def test_a_conversation_gets_its_agent_from_its_first_response_and_lists_what_was_said(live: Live) -> None:
    answers = [["I look. ", tool_call("look_up", word="six")], [tool_call("calculator", expression="6*7")], "It is 42."]
    async with calling(live, *answers, tools=CALCULATOR) as caller:
        conversations = caller.sdk.conversations
        made = await conversations.create(metadata={"topic": "six"}, items=[{"role": "user", "content": "I am Ann."}])
        assert (made.metadata, made.object) == ({"topic": "six"}, "conversation")
        await conversations.items.create(made.id, items=[{"role": "assistant", "content": "Hello, Ann."}])
        before = [item.to_dict() async for item in conversations.items.list(made.id, order="asc")]
        assert [item["role"] for item in before] == ["user", "assistant"]
        check_openai_error(await caller.http.post("/v1/responses", json={"input": "Hi", "conversation": made.id}), 400,
                           "invalid_request")  # fmt: skip

        asked = await caller.sdk.responses.create(
            model=caller.model,
            input="Six times seven?",
            conversation=made.id,
            tools=[LOOK],
        )
        assert asked.conversation is not None
        assert asked.conversation.id == made.id
        call = next(item for item in asked.output if item.type == "function_call")
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "6"}
        answer = await caller.sdk.responses.create(input=[output], conversation={"id": made.id})
        assert answer.output_text == "It is 42."
        items = [item.to_dict() async for item in conversations.items.list(made.id, order="asc", limit=2)]
        assert [item["type"] for item in items] == [
            "message", "message", "message", "message", "function_call", "function_call_output", "mcp_call", "message",
        ]  # fmt: skip
        assert [item["id"] for item in items[:2]] == [item["id"] for item in before]
        assert (items[5]["output"], items[6]["output"]) == ("6", "42")
        newest = [item.to_dict() async for item in conversations.items.list(made.id, limit=3)]
        assert newest == items[::-1]
        for item in items:
            assert (await conversations.items.retrieve(item["id"], conversation_id=made.id)).to_dict() == item

        changed = await conversations.update(made.id, metadata={"topic": "seven"})
        assert changed.metadata == {"topic": "seven"}
        with pytest.raises(openai.APIStatusError, match="405"):
            await conversations.items.delete(items[0]["id"], conversation_id=made.id)
        assert (await conversations.delete(made.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await conversations.retrieve(made.id)
        pending = await conversations.create()
        token = (await caller.http.post("/tokens", json={"agents": [caller.model]})).json()["token"]
        hidden = await caller.http.get(f"/v1/conversations/{pending.id}", headers={"authorization": f"Bearer {token}"})
        check_openai_error(hidden, 404, "not_found")
        await conversations.delete(pending.id)
        check_openai_error(await caller.http.get(f"/v1/conversations/{pending.id}"), 404, "not_found")


async def test_a_request_that_is_complete_in_itself_leaves_nothing_and_may_have_calls_and_images(live: Live) -> None:
    async with calling(live, "A red dot.", "It was 6.") as caller:
        dot = "data:image/png;base64," + base64.b64encode(png()).decode()
        content = [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": dot}]
        seen = await caller.respond(input=[{"role": "user", "content": content}])
        assert texts_of(seen) == ["A red dot."]
        assert [part.type for part in caller.provider.requests[-1].messages[-1].parts] == ["text", "file"]
        said = (await caller.http.get(f"/v1/responses/{seen['id']}/input_items")).json()["data"][0]["content"]
        assert [part["type"] for part in said] == ["input_text", "input_image"]

        history = [
            {"role": "user", "content": "Look it up."},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": '{"word": "six"}'},
            {"type": "function_call_output", "call_id": "c1", "output": "6"},
            {"type": "item_reference", "id": seen["output"][0]["id"]},
            {"role": "user", "content": "What was it?"},
        ]
        answer = await caller.respond(input=history, store=False)
        assert texts_of(answer) == ["It was 6."]
        messages = caller.provider.requests[-1].messages
        assert [message.role for message in messages] == ["user", "assistant", "tool", "assistant", "user"]
        # Threads of such requests are in no list.
        assert len((await caller.http.get("/threads")).json()["data"]) == 1
        private = [{"role": "user", "content": [{"type": "input_image", "image_url": "http://127.0.0.1:9/x.png"}]}]
        error = check_openai_error(await caller.post(input=private), 400, "invalid_request")
        assert error["param"] == "input[0].content[0]"


async def test_what_is_asked_for_one_response_alone_is_done_and_told(small_live: Live) -> None:
    form = {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}}
    async with calling(small_live, '{"n": 42}', "Yes.", system_prompt="Be kind.") as caller:
        asked = await caller.respond(
            input=[{"role": "developer", "content": "Be quick."}, {"role": "user", "content": "Six times seven?"}],
            instructions="Be brief.",
            temperature=0.5,
            max_output_tokens=100,
            reasoning={"effort": "minimal"},
            text=form,
        )
        request = caller.provider.requests[-1]
        assert request.system == "Be kind.\n\nBe brief.\n\nBe quick."
        settings = request.settings
        assert (settings.temperature, settings.max_tokens, settings.reasoning) == (0.5, 100, "low")
        assert request.output_schema == SCHEMA
        assert (asked["temperature"], asked["max_output_tokens"], asked["reasoning"]["effort"]) == (0.5, 100, "low")
        assert asked["instructions"] == "Be brief.\n\nBe quick."
        assert asked["text"]["format"]["name"] == "answer"
        assert await caller.get(asked["id"]) == asked

        # They are this response's alone.
        await caller.respond(input="Really?", previous_response_id=asked["id"])
        assert caller.provider.requests[-1].system == "Be kind."
        wrong = {"format": {"type": "json_schema", "name": "answer", "schema": {"type": 1}}}
        error = check_openai_error(await caller.post(input="Hi", text=wrong), 400, "invalid_request")
        assert error["param"].startswith("text.format.schema")


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


async def test_a_guardrail_redacts_what_is_streamed_and_what_is_replayed(small_live: Live) -> None:
    rules = [{"type": "pii", "kinds": ["email"], "stage": "output", "action": "redact"}]
    async with calling(small_live, ["Write to ada", "@example", ".com now."], guardrails=rules) as caller:
        frames = await caller.stream(input="Write to?")
        text = "".join(frame["delta"] for frame in frames if frame["type"] == "response.output_text.delta")
        assert texts_of(frames[-1]["response"]) == [text]
        assert "ada@example.com" not in text
        assert text.startswith("Write to ")
        assert await caller.replay(frames[0]["response"]["id"]) == frames


async def test_a_request_that_a_client_sends_again_gets_the_response_that_it_began(small_live: Live) -> None:
    async with calling(small_live, "One.", "Two.") as caller:
        first = await caller.post(input="Hi")
        body = {"model": caller.model, "input": "Hi"}
        again = await caller.http.post("/v1/responses", json=body, headers={"x-stainless-retry-count": "1"})
        assert again.json() == first.json()
        assert texts_of((await caller.post(input="Hi")).json()) == ["Two."]
        assert len(caller.provider.requests) == len((await caller.http.get("/threads")).json()["data"]) == 2


async def test_a_response_whose_log_is_trimmed_is_gone_and_its_conversation_goes_on(small_live: Live) -> None:
    async with calling(small_live, "One.", "Two.", "Three.", "Instead.") as caller:
        first = await caller.respond(input="First?")
        second = await caller.respond(input="Second?", previous_response_id=first["id"])
        await trim_logs(small_live.container.conn.database)

        for response in (first, second):
            path = f"/v1/responses/{response['id']}"
            for query in ({}, {"stream": True}, {"stream": True, "starting_after": 2}):
                error = check_openai_error(await caller.http.get(path, params=query), 410, "log_trimmed")
                assert error["last_event_id"] == "5-0"
            said = (await caller.http.get(f"{path}/input_items")).json()["data"]
            assert said[0]["content"][0]["text"] in ("First?", "Second?"), "the messages are there"
        third = await caller.respond(input="Third?", previous_response_id=second["id"])
        assert texts_of(third) == ["Three."]
        other = await caller.respond(input="Another?", previous_response_id=first["id"])
        assert texts_of(other) == ["Instead."]
        said_before = [message.parts[0].text for message in caller.provider.requests[-1].messages]  # type: ignore[union-attr]  # texts alone
        assert said_before == ["First?", "One.", "Another?"], "a fork that ends with the first"
        assert (await caller.http.delete(f"/v1/responses/{second['id']}")).status_code == 200
        check_openai_error(await caller.http.get(f"/v1/responses/{second['id']}"), 404, "not_found")
