"""The published rules of each provider's requests. A fake provider answers 400 where one is broken.

Sources, read 2026-11-22: https://platform.claude.com/docs/en/api/messages, /docs/en/api/migration-2026-10-21,
/docs/en/agents-and-tools/tool-use/implement-tool-use, /docs/en/build-with-claude/thinking-troubleshooting and
/docs/en/api/errors (prefill);
https://developers.openai.com/api/reference/resources/chat/subresources/completions/create and
/api/docs/guides/function-calling; https://docs.ollama.com/api/chat.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import orjson

ANTHROPIC_VERSIONS = ("2023-06-01", "2026-10-21")
_SAMPLING = {"temperature", "top_p", "top_k"}
_ANTHROPIC_FIELDS = {
    "model",
    "max_tokens",
    "messages",
    "stream",
    "system",
    "tools",
    "tool_choice",
    "stop_sequences",
    "thinking",
    "output_config",
    "metadata",
}
_OPENAI_FIELDS = {
    "model",
    "messages",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "reasoning_effort",
}
_OLLAMA_FIELDS = {
    "model",
    "messages",
    "stream",
    "tools",
    "think",
    "options",
    "keep_alive",
    "truncate",
    "shift",
    "format",
}
_OLLAMA_OPTIONS = {"num_ctx", "num_predict", "temperature", "top_p", "stop"}
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TOOL_USE_ID = re.compile(r"[a-zA-Z0-9_-]{1,256}")
# https://github.com/BerriAI/litellm/pull/34569 shows it against the real API.
_OPENAI_NO_REASONING_TOOLS = re.compile(r"gpt-5\.[2-9](?!\S*chat)|gpt-[6-9](?!\S*chat)")
_OPENAI_REASONING = re.compile(r"o[1-9](-|$)|gpt-[5-9](?!\S*chat)")


class BrokenRule(Exception):
    """A request that the provider would refuse."""


def check(provider: str, payload: Any, headers: Mapping[str, str] | None = None) -> None:
    """Raise `BrokenRule` if this request breaks a rule of its provider."""
    if not isinstance(payload, dict):
        _refuse("the body is not a JSON object")
    if not isinstance(payload.get("model"), str) or not payload["model"]:
        _refuse("model: Field required")
    if provider == "anthropic":
        _check_anthropic(payload, (headers or {}).get("anthropic-version", ANTHROPIC_VERSIONS[-1]))
    elif provider == "openai":
        _check_openai(payload)
    else:
        _check_ollama(payload)


def _refuse(message: str) -> NoReturn:
    raise BrokenRule(message)


def _only(fields: set[str], given: Mapping[str, Any], where: str = "") -> None:
    unknown = sorted(given.keys() - fields)
    if unknown:
        _refuse(f"{where}{unknown[0]}: Extra inputs are not permitted")


def _check_anthropic(payload: dict[str, Any], version: str) -> None:
    if version not in ANTHROPIC_VERSIONS:
        _refuse(f"anthropic-version: {version!r} is not a valid version")
    _only(_ANTHROPIC_FIELDS | (_SAMPLING if version == "2023-06-01" else set()), payload)
    if {"temperature", "top_p"} <= payload.keys():
        _refuse("`temperature` and `top_p` cannot both be specified for this model")
    max_tokens = payload.get("max_tokens")
    if not isinstance(max_tokens, int) or max_tokens < 1:
        _refuse("max_tokens: Field required")
    if "system" in payload and not payload["system"].strip():
        _refuse("system: text content blocks must contain non-whitespace text")
    for sequence in payload.get("stop_sequences", ()):
        if not sequence.strip():
            _refuse("stop_sequences: each stop sequence must contain non-whitespace")
    names = [tool.get("name", "") for tool in payload.get("tools", ())]
    _check_names(names)
    for tool in payload.get("tools", ()):
        _only({"name", "description", "input_schema"}, tool, "tools.")
        if tool["input_schema"].get("type") != "object":
            _refuse("tools.input_schema.type: Input should be 'object'")
    _check_anthropic_thinking(payload)
    turns = payload["messages"] if isinstance(payload.get("messages"), list) else []
    _check_anthropic_turns(turns)
    if not names and any(block["type"] == "tool_use" for turn in turns for block in _blocks(turn)):
        _refuse("Requests which include `tool_use` or `tool_result` blocks must define tools")


def _check_anthropic_thinking(payload: dict[str, Any]) -> None:
    thinking = payload.get("thinking")
    if thinking is None:
        return
    kind = thinking.get("type")
    _only({"type", "display"} | ({"budget_tokens"} if kind == "enabled" else set()), thinking, "thinking.")
    if kind not in {"enabled", "disabled", "adaptive", "between_tools"}:
        _refuse(f"thinking.type: {kind!r} is not known")
    if kind in {"enabled", "adaptive"} and _SAMPLING & payload.keys():
        _refuse("`temperature` may only be set to 1 when thinking is enabled")
    if kind != "enabled":
        return
    if not 1024 <= thinking.get("budget_tokens", 0) < payload["max_tokens"]:
        _refuse("thinking.budget_tokens: at least 1024 and less than max_tokens")
    turns = payload["messages"]
    if len(turns) > 1 and _blocks(turns[-1])[0]["type"] == "tool_result":
        first = _blocks(turns[-2])[0]["type"]
        if first not in {"thinking", "redacted_thinking"}:
            _refuse(f"Expected `thinking` or `redacted_thinking`, but found `{first}`")


def _blocks(turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = turn.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def _check_anthropic_turns(turns: Sequence[dict[str, Any]]) -> None:
    if not turns:
        _refuse("messages: at least one message is required")
    if turns[-1].get("role") != "user":
        _refuse("This model does not support assistant message prefill. The conversation must end with a user message.")
    asked: set[str] = set()
    seen: set[str] = set()
    for number, turn in enumerate(turns):
        _only({"role", "content"}, turn, f"messages.{number}.")
        expected = "assistant" if number % 2 else "user"
        if turn.get("role") != expected:
            _refuse(f"messages.{number}: roles must alternate, beginning with user; found {turn.get('role')!r}")
        blocks = _blocks(turn)
        if not blocks:
            _refuse(f"messages.{number}: content must not be empty")
        if expected == "user":
            _check_anthropic_user(number, blocks, asked)
            asked = set()
        else:
            asked = _check_anthropic_assistant(number, blocks, seen)


def _check_anthropic_user(number: int, blocks: list[dict[str, Any]], asked: set[str]) -> None:
    answered: set[str] = set()
    other_seen = False
    for block in blocks:
        if block["type"] == "text":
            _check_text(number, block)
            other_seen = True
        elif block["type"] == "tool_result":
            _only({"type", "tool_use_id", "content", "is_error"}, block, f"messages.{number}.tool_result.")
            if other_seen:
                _refuse(f"messages.{number}: tool_result blocks must come first in the content")
            if block["tool_use_id"] not in asked:
                _refuse(f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks")
            answered.add(block["tool_use_id"])
        else:
            _refuse(f"messages.{number}: block of type {block['type']!r} is not permitted in a user message")
    if asked != answered:
        _refuse(f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately after")


def _check_anthropic_assistant(number: int, blocks: list[dict[str, Any]], seen: set[str]) -> set[str]:
    asked: set[str] = set()
    fields = {"thinking": {"type", "thinking", "signature"}, "redacted_thinking": {"type", "data"}}
    for block in blocks:
        kind = block["type"]
        if kind == "text":
            _check_text(number, block)
        elif kind == "tool_use":
            _only({"type", "id", "name", "input"}, block, f"messages.{number}.tool_use.")
            if block["id"] in seen or not _TOOL_USE_ID.fullmatch(block["id"]):
                _refuse(f"messages.{number}: `tool_use` ids must be unique and match the pattern")
            if not isinstance(block["input"], dict):
                _refuse(f"messages.{number}: tool_use.input: Input should be a valid dictionary")
            _check_names([block["name"]])
            seen.add(block["id"])
            asked.add(block["id"])
        elif kind in fields:
            if block.keys() != fields[kind] or not block.get("signature", block.get("data")):
                _refuse(f"messages.{number}: Invalid `signature` in `thinking` block")
        else:
            _refuse(f"messages.{number}: block of type {kind!r} is not permitted in an assistant message")
    return asked


def _check_text(number: int, block: dict[str, Any]) -> None:
    _only({"type", "text"}, block, f"messages.{number}.text.")
    if not block["text"].strip():
        _refuse(f"messages.{number}: text content blocks must contain non-whitespace text")


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if not _TOOL_NAME.fullmatch(name):
            _refuse(f"tools: name {name!r} does not match the pattern")
    if len(set(names)) != len(names):
        _refuse("tools: Tool names must be unique")


def _check_functions(payload: dict[str, Any]) -> None:
    tools = payload.get("tools", ())
    if "tools" in payload and not tools:
        _refuse("[] is too short - 'tools'")
    for tool in tools:
        if tool.get("type") != "function" or tool["function"]["parameters"].get("type") != "object":
            _refuse("tools: a function with parameters of type object is wanted")
        _only({"name", "description", "parameters"}, tool["function"], "tools.function.")
    _check_names([tool["function"]["name"] for tool in tools])


def _check_openai(payload: dict[str, Any]) -> None:
    _only(_OPENAI_FIELDS, payload)
    if "stream_options" in payload and not payload.get("stream"):
        _refuse("The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    _check_openai_settings(payload)
    _check_functions(payload)
    messages = payload.get("messages")
    if not messages:
        _refuse("[] is too short - 'messages'")
    waiting: set[str] = set()
    for number, message in enumerate(messages):
        where = f"messages.[{number}]"
        if message.get("role") != "tool" and waiting:
            _refuse("An assistant message with 'tool_calls' must be followed by tool messages for each 'tool_call_id'.")
        waiting = _check_openai_message(where, message, waiting)
    if waiting:
        _refuse("An assistant message with 'tool_calls' must be followed by tool messages for each 'tool_call_id'.")


def _check_openai_settings(payload: dict[str, Any]) -> None:
    if len(payload.get("stop", ())) > 4:
        _refuse("Invalid 'stop': array too long. Expected an array with maximum length 4.")
    if _OPENAI_REASONING.match(payload["model"]):
        for name in ("max_tokens", "temperature", "top_p", "stop"):
            if name in payload:
                _refuse(f"Unsupported parameter: '{name}' is not supported with this model.")
    elif payload["model"].startswith("gpt-4") and "reasoning_effort" in payload:
        _refuse("Unrecognized request argument supplied: reasoning_effort")
    reasons = payload.get("reasoning_effort") != "none"
    if reasons and payload.get("tools") and _OPENAI_NO_REASONING_TOOLS.match(payload["model"]):
        _refuse("Function tools with reasoning_effort are not supported for this model in /v1/chat/completions.")


def _check_openai_message(where: str, message: dict[str, Any], waiting: set[str]) -> set[str]:
    role, content = message.get("role"), message.get("content")
    if role == "tool":
        _only({"role", "tool_call_id", "content"}, message, f"{where}.")
        if message["tool_call_id"] not in waiting:
            _refuse(f"{where}: messages with role 'tool' must follow the 'tool_calls' that they answer")
        if not isinstance(content, str):
            _refuse(f"{where}: Invalid value for 'content': expected a string")
        return waiting - {message["tool_call_id"]}
    if role in {"system", "developer", "user"}:
        _only({"role", "content"}, message, f"{where}.")
        if not isinstance(content, str) or not content:
            _refuse(f"{where}: Invalid value for 'content': expected a string, got null")
        return set()
    if role != "assistant":
        _refuse(f"{where}: Invalid value: {role!r}")
    _only({"role", "content", "tool_calls"}, message, f"{where}.")
    if "tool_calls" not in message:
        if not content:
            _refuse(f"{where}: an assistant message needs content or tool_calls")
        return set()
    return _check_openai_calls(where, message["tool_calls"])


def _check_openai_calls(where: str, calls: Sequence[dict[str, Any]]) -> set[str]:
    if not calls:
        _refuse(f"{where}.tool_calls: [] is too short")
    for call in calls:
        if len(call["id"]) > 40 or call["type"] != "function":
            _refuse(f"{where}.tool_calls.id: string too long. Expected a string with maximum length 40")
        _only({"name", "arguments"}, call["function"], f"{where}.tool_calls.function.")
        _check_names([call["function"]["name"]])
        if not isinstance(orjson.loads(call["function"]["arguments"]), dict):
            _refuse(f"{where}.tool_calls.function.arguments: a JSON object is wanted")
    ids = {call["id"] for call in calls}
    if len(ids) != len(calls):
        _refuse(f"{where}.tool_calls.id: duplicate value")
    return ids


def _check_ollama(payload: dict[str, Any]) -> None:
    _only(_OLLAMA_FIELDS, payload)
    options = payload.get("options") or {}
    _only(_OLLAMA_OPTIONS, options, "options.")
    if not isinstance(options.get("num_ctx"), int):
        _refuse("options.num_ctx: without it Ollama cuts what does not fit, without a word")
    if "tools" in payload:
        _check_functions(payload)
    waiting = 0
    for number, message in enumerate(payload.get("messages") or _refuse("messages: nothing to answer")):
        role = message.get("role")
        _only({"role", "content", "thinking", "tool_calls", "tool_name"}, message, f"messages.{number}.")
        if not isinstance(message.get("content"), str):
            _refuse(f"messages.{number}.content: cannot unmarshal into Go struct field of type string")
        if role == "tool":
            waiting -= 1
            if waiting < 0 or not message.get("tool_name"):
                _refuse(f"messages.{number}: a tool message that answers no call")
            continue
        if waiting > 0 or role not in {"system", "user", "assistant"}:
            _refuse(f"messages.{number}: {role!r} where a tool's answer is wanted, or no role at all")
        if role == "user" and not message["content"].strip():
            _refuse(f"messages.{number}: an empty message")
        waiting = len(message.get("tool_calls", ()))
        for call in message.get("tool_calls", ()):
            if not isinstance(call["function"]["arguments"], dict):
                _refuse(f"messages.{number}.tool_calls: arguments: cannot unmarshal string into an object")
    if waiting:
        _refuse("messages: the last calls are not answered")
