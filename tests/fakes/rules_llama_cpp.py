"""How llama.cpp's server reads a request to `/v1/responses`, and what it refuses there.

Source: https://github.com/ggml-org/llama.cpp, tools/server/server-chat.cpp, read 2026-11-22 at the version of September
2026; https://github.com/ggml-org/llama.cpp/pull/28737 tells of two of the rules.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.fakes.broken import refuse


def check_llama_cpp(payload: Mapping[str, Any]) -> None:
    """Raise `BrokenRule` if llama.cpp's server would refuse this request."""
    chat_messages(payload)


def chat_messages(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The messages of a chat that the items become: what its templates see. Raises `BrokenRule`."""
    instructions = payload.get("instructions")
    messages: list[dict[str, Any]] = [] if instructions is None else [{"role": "system", "content": instructions}]
    for number, item in enumerate(payload["input"]):
        _read_item(f"input[{number}]", item, messages)
    return messages


def _read_item(where: str, item: Mapping[str, Any], messages: list[dict[str, Any]]) -> None:
    kind, role = item.get("type"), item.get("role")
    if role in {"user", "system", "developer"} and isinstance(item.get("content"), list | str):
        messages.append({"role": role, "content": _read_input(where, item["content"])})
    elif role == "assistant" and kind == "message":
        _assistant(messages)["content"] += _read_output(where, item.get("content"))
    elif kind == "function_call" and all(isinstance(item.get(name), str) for name in ("call_id", "name", "arguments")):
        function = {"name": item["name"], "arguments": item["arguments"]}
        _assistant(messages).setdefault("tool_calls", []).append({"id": item["call_id"], "function": function})
    elif kind == "function_call_output" and isinstance(item.get("call_id"), str):
        if not isinstance(item.get("output"), str | list):
            refuse(f"{where}: Cannot determine type of 'item'")
        messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]})
    elif kind == "reasoning" and isinstance(item.get("summary"), list):
        content = item.get("content")
        if not isinstance(content, list) or not content or not isinstance(content[0].get("text"), str):
            refuse(f"{where}: item['content'] is not an array, or empty, or without a text")
        _assistant(messages)["reasoning_content"] = content[0]["text"]
    else:
        refuse(f"{where}: Cannot determine type of 'item'")


def _assistant(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The assistant's message that an item belongs to: the last one, where it is the assistant's."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": []})
    return messages[-1]


def _read_input(where: str, content: str | Sequence[Mapping[str, Any]]) -> str | Sequence[Mapping[str, Any]]:
    for part in () if isinstance(content, str) else content:
        if part.get("type") == "input_file":
            refuse(f"{where}: 'input_file' is not supported by llamacpp at this moment")
        if part.get("type") not in {"input_text", "input_image"}:
            refuse(f"{where}: 'type' must be one of 'input_text', 'input_image', or 'input_file'")
    return content


def _read_output(where: str, content: Any) -> list[Mapping[str, Any]]:
    if isinstance(content, str):
        return [{"type": "input_text", "text": content}]
    for part in content or ():
        if part.get("type") not in {"output_text", "input_text", "refusal"}:
            refuse(f"{where}: 'type' must be one of 'output_text' or 'refusal'")
    return list(content or ())
