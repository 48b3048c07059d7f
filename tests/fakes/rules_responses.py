"""The published rules for OpenAI's Responses, for conversations that are sent as a whole.

Sources, read 2026-11-22: https://developers.openai.com/api/reference/resources/responses/methods/create,
/api/docs/guides/reasoning ("Encrypted reasoning items"), /api/docs/guides/function-calling and
/api/docs/guides/structured-outputs; on reasoning without what follows it
https://github.com/openai/openai-python/issues/2436.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from tests.fakes.broken import check_json_schema, check_names, only, refuse
from tests.fakes.rules_files import check_responses_part
from tests.fakes.rules_schemas import check_openai_schema

_FIELDS = {
    "model",
    "input",
    "instructions",
    "stream",
    "store",
    "include",
    "tools",
    "tool_choice",
    "max_output_tokens",
    "temperature",
    "top_p",
    "reasoning",
    "text",
}
_REASONING = re.compile(r"o[1-9](-|$)|gpt-[5-9](?!\S*chat)|codex")
_OWN = re.compile(r"gpt-|o[1-9]|chatgpt-")


def check(payload: dict[str, Any]) -> None:
    """Raise `BrokenRule` if this request breaks a rule."""
    only(_FIELDS, payload)
    if payload.get("store") is not False:
        refuse("store: what is sent here is not to be kept")
    reasons = _REASONING.match(payload["model"])
    for name in ("temperature", "top_p"):
        if reasons and name in payload:
            refuse(f"Unsupported parameter: '{name}' is not supported with this model.")
    if not reasons and _OWN.match(payload["model"]) and {"include", "reasoning"} & payload.keys():
        refuse("Encrypted content is not supported with this model.")
    if payload.get("max_output_tokens", 16) < 16:
        refuse("Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16.")
    if "instructions" in payload and not payload["instructions"].strip():
        refuse("instructions: empty")
    _check_tools(payload)
    if "text" in payload:
        _check_format(payload["model"], payload["text"]["format"])
    _check_input(payload.get("input"), payload["model"])


def _check_tools(payload: Mapping[str, Any]) -> None:
    tools = payload.get("tools", ())
    if "tools" in payload and not tools:
        refuse("[] is too short - 'tools'")
    for tool in tools:
        only({"type", "name", "description", "parameters", "strict"}, tool, "tools.")
        if tool["type"] != "function" or tool.get("strict") is not False:
            refuse("tools: a function is wanted, strict only where the schema is")
        check_openai_schema(tool["name"], tool["parameters"])
    check_names([tool["name"] for tool in tools])


def _check_format(model: str, form: Mapping[str, Any]) -> None:
    if form.get("type") != "json_schema":
        refuse("text.format.type: Invalid value")
    check_json_schema(model, form)


def _check_input(items: Any, model: str) -> None:
    if not items:
        refuse("input: nothing to answer")
    waiting: set[str] = set()
    alone = False
    for number, item in enumerate(items):
        where = f"input[{number}]"
        kind = item.get("type") or ("message" if item.get("role") else None)
        if alone and (kind not in {"reasoning", "function_call"} and item.get("role") != "assistant"):
            refuse("Item of type 'reasoning' was provided without its required following item.")
        alone = kind == "reasoning"
        if kind == "function_call_output":
            only({"type", "call_id", "output"}, item, f"{where}.")
            if item["call_id"] not in waiting or not isinstance(item["output"], str):
                refuse(f"No tool call found for function call output with call_id {item['call_id']}.")
            waiting.discard(item["call_id"])
        elif kind == "function_call":
            waiting.add(_check_call(where, item, waiting))
        elif waiting and kind == "message" and item["role"] != "assistant":
            refuse(f"No tool output found for function call {min(waiting)}.")
        elif kind == "message":
            _check_message(where, item, model)
        elif kind == "reasoning":
            only({"type", "id", "summary", "content", "encrypted_content"}, item, f"{where}.")
            own = _OWN.match(model) or _REASONING.match(model)
            if own and not (item.get("encrypted_content") and _REASONING.match(model)):
                refuse(f"{where}: the encrypted content could not be verified")
        else:
            refuse(f"{where}: Invalid value: {kind!r}")
    if waiting or alone:
        refuse("input: a call without its output, or reasoning without what follows it")


def _check_call(where: str, item: Mapping[str, Any], waiting: set[str]) -> str:
    only({"type", "call_id", "name", "arguments"}, item, f"{where}.")
    check_names([item["name"]])
    call_id = str(item["call_id"])
    if call_id in waiting or len(call_id) > 64:
        refuse(f"{where}.call_id: duplicate, or longer than 64")
    if not isinstance(orjson.loads(item["arguments"]), dict):
        refuse(f"{where}.arguments: a JSON object is wanted")
    return call_id


def _check_message(where: str, item: Mapping[str, Any], model: str) -> None:
    only({"type", "role", "content"} | ({"id", "status"} if item["role"] == "assistant" else set()), item, f"{where}.")
    content = item["content"]
    if not re.fullmatch(r"msg_\w{1,60}", item.get("id", "msg_0")):
        refuse(f"{where}.id: Expected an ID that begins with 'msg'.")
    if item["role"] == "assistant":
        texts = [content] if isinstance(content, str) else [_output_text(where, part) for part in content]
        if not texts or not all(text.strip() for text in texts):
            refuse(f"{where}.content: empty")
        return
    for part in content:
        if part["type"] == "input_text":
            only({"type", "text"}, part, f"{where}.content.")
            if not part["text"]:
                refuse(f"{where}.content: empty")
        elif part["type"] in {"input_image", "input_file"}:
            check_responses_part(where, part, model)
        else:
            refuse(f"{where}.content: Invalid value: {part['type']!r}")


def _output_text(where: str, part: Mapping[str, Any]) -> str:
    only({"type", "text", "annotations"}, part, f"{where}.content.")
    if part.get("type") != "output_text":
        refuse(f"{where}.content: Invalid value: {part.get('type')!r}")
    return str(part["text"])
