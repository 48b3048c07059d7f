"""Streams in the form of each wire format, as frames of bytes: reasoning, text, and two open calls at once."""

from collections.abc import Iterable
from typing import Any

import orjson

Frames = list[bytes]
TOOLS = ("weather", "search")
_ARGUMENTS = {
    "weather": ('{"city":', '"Oslo",', '"days":', "3}"),
    "search": ('{"query":', '"fjord",', '"limit":', "7}"),
}
_WORDS = ("Let ", "me ", "look ", "at ", "both. ")
_THOUGHTS = ("Two ", "tools ", "fit.")


def _data(value: Any) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(value)


def _events(values: Iterable[dict[str, Any]]) -> Frames:
    return [b"event: %b\n%b" % (str(value["type"]).encode(), _data(value)) for value in values]


def _pieces() -> list[tuple[int, str]]:
    """The pieces of both calls in turns, each with the number of its call."""
    pairs = zip(*_ARGUMENTS.values(), strict=True)
    return [(number, piece) for pair in pairs for number, piece in enumerate(pair)]


def chat(*, ids: bool = True, calls: bool = True, done: bool = True) -> Frames:
    """OpenAI's chunks. `ids`: calls have them; else a name begins one. `done`: `[DONE]` is sent."""

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _data({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]})

    frames = [chunk({"role": "assistant", "content": ""})]
    frames += [chunk({"reasoning_content": thought}) for thought in _THOUGHTS]
    frames += [chunk({"content": word}) for word in _WORDS]
    if calls:
        for number, name in enumerate(TOOLS):
            call: dict[str, Any] = {"index": number, "type": "function", "function": {"name": name, "arguments": ""}}
            frames.append(chunk({"tool_calls": [call | ({"id": f"call_{name}"} if ids else {})]}))
        for number, piece in _pieces():
            frames.append(chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]}))
    frames.append(chunk({}, "tool_calls" if calls else "stop"))
    details = {"prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3}}
    usage = {"prompt_tokens": 11, "completion_tokens": 30, "total_tokens": 41, **details}
    frames.append(_data({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [], "usage": usage}))
    return frames + ([b"data: [DONE]\n\n"] if done else [])


def whole_calls() -> Frames:
    """Chunks as Mistral sends them: content as a list of parts, each call in one piece, usage beside the reason."""

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _data({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **more})

    thoughts = [{"type": "thinking", "thinking": [{"type": "text", "text": text}]} for text in _THOUGHTS]
    frames = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": [thought]}) for thought in thoughts)]
    frames += [chunk({"content": word}) for word in _WORDS]
    calls = [
        {"id": f"a1B2c3D4{number}", "index": number, "function": {"name": name, "arguments": "".join(_ARGUMENTS[name])}}
        for number, name in enumerate(TOOLS)
    ]
    usage = {"prompt_tokens": 11, "completion_tokens": 30, "total_tokens": 41}
    return [*frames, chunk({"tool_calls": calls}, "tool_calls", usage=usage), b"data: [DONE]\n\n"]


def refused_call() -> Frames:
    """Groq's error inside a stream: the call that its model wrote does not fit the tool."""
    written = {"name": TOOLS[0], "arguments": orjson.loads(_ARGUMENTS[TOOLS[1]][0] + '"x"}')}
    error: dict[str, Any] = {
        "message": "Tool call validation failed",
        "type": "invalid_request_error",
        "code": "tool_use_failed",
    }
    error |= {"failed_generation": orjson.dumps(written).decode(), "status_code": 400}
    return [*chat()[:4], b"event: error\n" + _data({"error": error})]


def anthropic(*, calls: bool = True) -> Frames:
    """Anthropic's events, with two blocks of tool use open at once."""

    def start(index: int, **block: Any) -> dict[str, Any]:
        return {"type": "content_block_start", "index": index, "content_block": block}

    def delta(index: int, **facts: Any) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": facts}

    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "m",
        "stop_reason": None,
    }
    usage = {"input_tokens": 11, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0, "output_tokens": 1}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message | {"usage": usage}}]
    events.append({"type": "ping"})
    events.append(start(0, type="thinking", thinking="", signature=""))
    events += [delta(0, type="thinking_delta", thinking=thought) for thought in _THOUGHTS]
    events += [delta(0, type="signature_delta", signature="c2ln"), {"type": "content_block_stop", "index": 0}]
    events.append(start(1, type="text", text=""))
    events += [delta(1, type="text_delta", text=word) for word in _WORDS]
    events.append({"type": "content_block_stop", "index": 1})
    if calls:
        events += [start(2 + n, type="tool_use", id=f"toolu_{n}", name=name, input={}) for n, name in enumerate(TOOLS)]
        events += [delta(2 + n, type="input_json_delta", partial_json=piece) for n, piece in _pieces()]
        events += [{"type": "content_block_stop", "index": 2 + number} for number in range(len(TOOLS))]
    stop = {"stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None}
    events += [{"type": "message_delta", "delta": stop, "usage": {"output_tokens": 30}}, {"type": "message_stop"}]
    return _events(events)


def responses(*, calls: bool = True) -> Frames:
    """The events of OpenAI's Responses, with two open calls, and all items again at the end."""
    events: list[dict[str, Any]] = []
    output: list[dict[str, Any]] = []

    def begin(item: dict[str, Any]) -> int:
        events.append({"type": "response.output_item.added", "output_index": len(output), "item": item})
        output.append(item)
        return len(output) - 1

    def end(index: int, item: dict[str, Any]) -> None:
        output[index] = item
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})

    response = {"id": "resp_1", "object": "response", "model": "m", "status": "in_progress", "output": []}
    events.append({"type": "response.created", "response": response})
    thought: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": []}
    index = begin(thought)
    place = {"item_id": "rs_1", "output_index": index, "summary_index": 0}
    events += [{"type": "response.reasoning_summary_text.delta", **place, "delta": text} for text in _THOUGHTS]
    end(index, thought | {"summary": [{"type": "summary_text", "text": "".join(_THOUGHTS)}]})
    said: dict[str, Any] = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
    index = begin(said)
    place = {"item_id": "msg_1", "output_index": index, "content_index": 0}
    events += [{"type": "response.output_text.delta", **place, "delta": word} for word in _WORDS]
    end(index, said | {"content": [{"type": "output_text", "text": "".join(_WORDS), "annotations": []}]})
    if calls:
        items = [
            {"type": "function_call", "id": f"fc_{name}", "call_id": f"call_{name}", "name": name, "arguments": ""}
            for name in TOOLS
        ]
        indexes = [begin(item) for item in items]
        for number, piece in _pieces():
            place = {"item_id": items[number]["id"], "output_index": indexes[number]}
            events.append({"type": "response.function_call_arguments.delta", **place, "delta": piece})
        for index, item in zip(indexes, items, strict=True):
            raw = "".join(_ARGUMENTS[item["name"]])
            place = {"item_id": item["id"], "output_index": index}
            events.append({"type": "response.function_call_arguments.done", **place, "arguments": raw})
            end(index, item | {"arguments": raw, "status": "completed"})
    details = {"input_tokens_details": {"cached_tokens": 4}, "output_tokens_details": {"reasoning_tokens": 3}}
    usage = {"input_tokens": 11, "output_tokens": 30, "total_tokens": 41, **details}
    done = response | {"status": "completed", "output": output, "usage": usage}
    events.append({"type": "response.completed", "response": done})
    return _events(events)


def ollama(*, calls: bool = True) -> Frames:
    """Ollama's lines, each call whole."""

    def line(message: dict[str, Any], **more: Any) -> bytes:
        value = {"model": "m", "message": {"role": "assistant", "content": ""} | message, "done": False} | more
        return orjson.dumps(value) + b"\n"

    frames = [line({"thinking": thought}) for thought in _THOUGHTS]
    frames += [line({"content": word}) for word in _WORDS]
    if calls:
        for name in TOOLS:
            function = {"name": name, "arguments": orjson.loads("".join(_ARGUMENTS[name]))}
            frames.append(line({"tool_calls": [{"function": function}]}))
    return [*frames, line({}, done=True, done_reason="stop", prompt_eval_count=11, eval_count=30)]


def gemini(*, calls: bool = True) -> Frames:
    """Gemini's chunks, each call whole, in one chunk with the reason."""

    def chunk(*parts: dict[str, Any], **more: Any) -> bytes:
        candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0} | more
        usage = {"promptTokenCount": 11, "candidatesTokenCount": 27, "thoughtsTokenCount": 3, "totalTokenCount": 41}
        return _data({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m", "responseId": "r"})

    frames = [chunk({"text": thought, "thought": True}) for thought in _THOUGHTS]
    frames += [chunk({"text": word}) for word in _WORDS]
    wanted = [
        {"functionCall": {"id": f"fc_{name}", "name": name, "args": orjson.loads("".join(_ARGUMENTS[name]))}}
        for name in TOOLS
        if calls
    ]
    return [*frames, *(chunk(part) for part in wanted[:1]), chunk(*wanted[1:], finishReason="STOP")]


# By name: the wire format, and the frames.
STREAMS: dict[str, tuple[str, Frames]] = {
    "chat, calls": ("openai", chat()),
    "chat, calls without ids or an end mark": ("openai", chat(ids=False, done=False)),
    "chat, whole calls": ("openai", whole_calls()),
    "chat, a refused call": ("openai", refused_call()),
    "chat, words": ("openai", chat(calls=False)),
    "anthropic, calls": ("anthropic", anthropic()),
    "anthropic, words": ("anthropic", anthropic(calls=False)),
    "responses, calls": ("responses", responses()),
    "responses, words": ("responses", responses(calls=False)),
    "ollama, calls": ("ollama", ollama()),
    "ollama, words": ("ollama", ollama(calls=False)),
    "gemini, calls": ("gemini", gemini()),
    "gemini, words": ("gemini", gemini(calls=False)),
}
