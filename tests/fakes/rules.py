"""The published rules for requests of each provider. A fake provider answers 400 where one is broken.

Sources, read 2026-11-22 (for Anthropic, Responses, files, schemas and templates see their modules):
https://developers.openai.com/api/reference/resources/chat/subresources/completions/create and
/api/docs/guides/function-calling; https://docs.ollama.com/api/chat.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import orjson

from tests.fakes import rules_anthropic, rules_gemini, rules_responses
from tests.fakes.broken import BrokenRule, check_json_schema, check_names, only, refuse
from tests.fakes.rules_files import check_ollama_images, check_openai_content
from tests.fakes.rules_llama_cpp import check_llama_cpp
from tests.fakes.rules_schemas import check_ollama_schema, check_openai_schema
from tests.fakes.rules_templates import check_template
from tests.fakes.rules_vllm import check_vllm

# A server that speaks the wire format of a provider and refuses more: Mistral's and Gemma's chat templates, and
# llama.cpp's server and vLLM's, which have Responses too.
Server = Literal["mistral", "gemma", "llama.cpp", "vllm"]
SERVERS: tuple[Server, ...] = ("mistral", "gemma", "llama.cpp", "vllm")

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
    "response_format",
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
# https://github.com/BerriAI/litellm/pull/34569 shows it against the real API.
_OPENAI_NO_REASONING_TOOLS = re.compile(r"gpt-5\.[2-9](?!\S*chat)|gpt-[6-9](?!\S*chat)")
# https://api-docs.deepseek.com/guides/thinking_mode: "must be passed back", else 400.
_KEEPS_REASONING = re.compile(r"deepseek-")
# Compatible servers take back the reasoning in the field in which they gave it, OpenRouter and LiteLLM signed parts,
# Gemini's its signature: https://console.groq.com/docs/reasoning, https://docs.litellm.ai/docs/reasoning_content,
# https://openrouter.ai/docs/guides/best-practices/reasoning-tokens.
_REASONING_FIELDS = {"reasoning_content", "reasoning", "reasoning_details", "thinking_blocks", "extra_content"}
_OPENAI_OWN = re.compile(r"gpt-|o[1-9]|chatgpt-")
_OPENAI_REASONING = re.compile(r"o[1-9](-|$)|gpt-[5-9](?!\S*chat)")
__all__ = ["SERVERS", "BrokenRule", "Server", "check"]


def check(
    provider: str,
    payload: Any,
    headers: Mapping[str, str] | None = None,
    *,
    server: Server | None = None,
    model: str = "",
) -> None:
    """Raise `BrokenRule` if this request breaks a rule of its provider, or of this server of the same wire format.

    `model` is the one that is asked, for a provider whose requests do not name it.
    """
    if not isinstance(payload, dict):
        refuse("the body is not a JSON object")
    if provider == "gemini":
        rules_gemini.check(payload, model)
        return
    if not isinstance(payload.get("model"), str) or not payload["model"]:
        refuse("model: Field required")
    if provider == "anthropic":
        rules_anthropic.check(payload, headers or {})
    elif provider == "openai":
        _check_openai(payload)
    elif provider == "responses":
        rules_responses.check(payload)
    else:
        _check_ollama(payload)
    if server == "llama.cpp" and provider == "responses":
        check_llama_cpp(payload)
    elif server == "vllm" and provider == "responses":
        check_vllm(payload)
    elif server in {"mistral", "gemma"}:
        check_template("mistral" if server == "mistral" else "gemma", provider, payload)


def _check_functions(payload: dict[str, Any], check_schema: Callable[[str, Mapping[str, Any]], None]) -> None:
    tools = payload.get("tools", ())
    if "tools" in payload and not tools:
        refuse("[] is too short - 'tools'")
    for tool in tools:
        if tool.get("type") != "function":
            refuse("tools: a function is wanted")
        only({"name", "description", "parameters"}, tool["function"], "tools.function.")
        check_schema(tool["function"]["name"], tool["function"]["parameters"])
    check_names([tool["function"]["name"] for tool in tools])


def _check_openai(payload: dict[str, Any]) -> None:
    only(_OPENAI_FIELDS, payload)
    if "stream_options" in payload and not payload.get("stream"):
        refuse("The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    _check_openai_settings(payload)
    _check_functions(payload, check_openai_schema)
    messages = payload.get("messages")
    if not messages:
        refuse("[] is too short - 'messages'")
    waiting: set[str] = set()
    for number, message in enumerate(messages):
        where = f"messages.[{number}]"
        if message.get("role") != "tool" and waiting:
            refuse("An assistant message with 'tool_calls' must be followed by tool messages for each 'tool_call_id'.")
        waiting = _check_openai_message(where, message, waiting, payload["model"])
    if waiting:
        refuse("An assistant message with 'tool_calls' must be followed by tool messages for each 'tool_call_id'.")


def _check_openai_settings(payload: dict[str, Any]) -> None:
    if "response_format" in payload:
        check_json_schema(payload["model"], payload["response_format"]["json_schema"])
    if len(payload.get("stop", ())) > 4:
        refuse("Invalid 'stop': array too long. Expected an array with maximum length 4.")
    if _OPENAI_REASONING.match(payload["model"]):
        for name in ("max_tokens", "temperature", "top_p", "stop"):
            if name in payload:
                refuse(f"Unsupported parameter: '{name}' is not supported with this model.")
    elif payload["model"].startswith("gpt-4") and "reasoning_effort" in payload:
        refuse("Unrecognized request argument supplied: reasoning_effort")
    reasons = payload.get("reasoning_effort") != "none"
    if reasons and payload.get("tools") and _OPENAI_NO_REASONING_TOOLS.match(payload["model"]):
        refuse("Function tools with reasoning_effort are not supported for this model in /v1/chat/completions.")


def _check_openai_message(where: str, message: dict[str, Any], waiting: set[str], model: str) -> set[str]:
    role, content = message.get("role"), message.get("content")
    if role == "tool":
        only({"role", "tool_call_id", "content"}, message, f"{where}.")
        if message["tool_call_id"] not in waiting:
            refuse(f"{where}: messages with role 'tool' must follow the 'tool_calls' that they answer")
        if not isinstance(content, str):
            refuse(f"{where}: Invalid value for 'content': expected a string")
        return waiting - {message["tool_call_id"]}
    if role == "user":
        only({"role", "content"}, message, f"{where}.")
        check_openai_content(where, content, model)
        return set()
    if role in {"system", "developer"}:
        only({"role", "content"}, message, f"{where}.")
        if not isinstance(content, str) or not content:
            refuse(f"{where}: Invalid value for 'content': expected a string, got null")
        return set()
    if role != "assistant":
        refuse(f"{where}: Invalid value: {role!r}")
    own = _OPENAI_OWN.match(model)
    only({"role", "content", "tool_calls"} | (set() if own else _REASONING_FIELDS), message, f"{where}.")
    if "tool_calls" in message and _KEEPS_REASONING.match(model) and "reasoning_content" not in message:
        refuse(f"{where}: The `reasoning_content` in the thinking mode must be passed back to the API.")
    if "tool_calls" not in message:
        if not content:
            refuse(f"{where}: an assistant message needs content or tool_calls")
        return set()
    return _check_openai_calls(where, message["tool_calls"])


def _check_openai_calls(where: str, calls: Sequence[dict[str, Any]]) -> set[str]:
    if not calls:
        refuse(f"{where}.tool_calls: [] is too short")
    for call in calls:
        if len(call["id"]) > 40 or call["type"] != "function":
            refuse(f"{where}.tool_calls.id: string too long. Expected a string with maximum length 40")
        only({"name", "arguments"}, call["function"], f"{where}.tool_calls.function.")
        check_names([call["function"]["name"]])
        if not isinstance(orjson.loads(call["function"]["arguments"]), dict):
            refuse(f"{where}.tool_calls.function.arguments: a JSON object is wanted")
    ids = {call["id"] for call in calls}
    if len(ids) != len(calls):
        refuse(f"{where}.tool_calls.id: duplicate value")
    return ids


def _check_ollama(payload: dict[str, Any]) -> None:
    only(_OLLAMA_FIELDS, payload)
    options = payload.get("options") or {}
    only(_OLLAMA_OPTIONS, options, "options.")
    if not isinstance(options.get("num_ctx"), int):
        refuse("options.num_ctx: without it Ollama cuts what does not fit, without a word")
    if "tools" in payload:
        _check_functions(payload, check_ollama_schema)
        if "format" in payload:
            refuse("format: binds every answer, so that no tool could be called")
    _check_ollama_messages(payload)


def _check_ollama_messages(payload: dict[str, Any]) -> None:
    waiting = 0
    for number, message in enumerate(payload.get("messages") or refuse("messages: nothing to answer")):
        role = message.get("role")
        only({"role", "content", "thinking", "tool_calls", "tool_name", "images"}, message, f"messages.{number}.")
        if "images" in message:
            check_ollama_images(f"messages.{number}", message["images"] if role == "user" else None, payload["model"])
        if not isinstance(message.get("content"), str):
            refuse(f"messages.{number}.content: cannot unmarshal into Go struct field of type string")
        if role == "tool":
            waiting -= 1
            if waiting < 0 or not message.get("tool_name"):
                refuse(f"messages.{number}: a tool message that answers no call")
            continue
        if waiting > 0 or role not in {"system", "user", "assistant"}:
            refuse(f"messages.{number}: {role!r} where a tool's answer is wanted, or no role at all")
        if role == "user" and not message["content"].strip():
            refuse(f"messages.{number}: an empty message")
        waiting = len(message.get("tool_calls", ()))
        for call in message.get("tool_calls", ()):
            if not isinstance(call["function"]["arguments"], dict):
                refuse(f"messages.{number}.tool_calls: arguments: cannot unmarshal string into an object")
    if waiting:
        refuse("messages: the last calls are not answered")
