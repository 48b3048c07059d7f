"""The published rules for Anthropic's requests.

Sources, read 2026-11-22: https://platform.claude.com/docs/en/api/messages, /docs/en/api/migration-2026-10-21,
/docs/en/agents-and-tools/tool-use/implement-tool-use, /docs/en/agents-and-tools/tool-use/server-tools (paused turns),
/docs/en/build-with-claude/thinking-troubleshooting, /docs/en/build-with-claude/prompt-caching (four breakpoints),
/docs/en/build-with-claude/structured-outputs and /docs/en/api/errors (prefill).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.fakes.broken import check_names, only, refuse
from tests.fakes.rules_files import check_anthropic_block
from tests.fakes.rules_schemas import check_anthropic_schema

VERSIONS = ("2023-06-01", "2026-10-21")
_SAMPLING = {"temperature", "top_p", "top_k"}
_FIELDS = {
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
    "cache_control",
}
_MAX_BREAKPOINTS = 4
_TOOL_USE_ID = re.compile(r"[a-zA-Z0-9_-]{1,256}")


def check(payload: dict[str, Any], headers: Mapping[str, str]) -> None:
    """Raise `BrokenRule` if this request breaks a rule of the Messages API."""
    version = headers.get("anthropic-version", VERSIONS[-1])
    if version not in VERSIONS:
        refuse(f"anthropic-version: {version!r} is not a valid version")
    only(_FIELDS | (_SAMPLING if version == "2023-06-01" else set()), payload)
    if {"temperature", "top_p"} <= payload.keys():
        refuse("`temperature` and `top_p` cannot both be specified for this model")
    max_tokens = payload.get("max_tokens")
    if not isinstance(max_tokens, int) or max_tokens < 1:
        refuse("max_tokens: Field required")
    _check_system(payload.get("system"))
    if str(payload).count("'cache_control'") > _MAX_BREAKPOINTS:
        refuse("A maximum of 4 blocks with cache_control may be provided.")
    if "output_config" in payload:
        _check_output(payload["output_config"])
    for sequence in payload.get("stop_sequences", ()):
        if not sequence.strip():
            refuse("stop_sequences: each stop sequence must contain non-whitespace")
    names = [tool.get("name", "") for tool in payload.get("tools", ())]
    check_names(names)
    for number, tool in enumerate(payload.get("tools", ())):
        only({"name", "description", "input_schema", "cache_control"}, tool, "tools.")
        check_anthropic_schema(f"tools.{number}.custom.input_schema", tool["input_schema"])
    _check_thinking(payload)
    turns = payload["messages"] if isinstance(payload.get("messages"), list) else []
    _check_turns(turns, payload["model"])
    if not names and any(block["type"] == "tool_use" for turn in turns for block in _blocks(turn)):
        refuse("Requests which include `tool_use` or `tool_result` blocks must define tools")


def _check_system(system: Any) -> None:
    blocks = [{"type": "text", "text": system}] if isinstance(system, str) else system or ()
    for block in blocks:
        only({"type", "text", "cache_control"}, block, "system.")
        if not block["text"].strip():
            refuse("system: text content blocks must contain non-whitespace text")


def _check_output(config: Mapping[str, Any]) -> None:
    only({"effort", "format"}, config, "output_config.")
    if "format" in config:
        only({"type", "schema"}, config["format"], "output_config.format.")
        _check_compiled(config["format"]["schema"])


def _check_compiled(schema: Any) -> None:
    """Check a schema of structured outputs: objects are closed; bounds and recursion are refused."""
    if isinstance(schema, list):
        for each in schema:
            _check_compiled(each)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        refuse("output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false")
    for word in ("minimum", "maximum", "minLength", "maxLength", "pattern", "maxItems", "oneOf", "not"):
        if word in schema and not isinstance(schema[word], dict):
            refuse(f"output_config.format.schema: property '{word}' is not supported")
    for inner in schema.values():
        _check_compiled(inner)


def _check_thinking(payload: dict[str, Any]) -> None:
    thinking = payload.get("thinking")
    if thinking is None:
        return
    kind = thinking.get("type")
    only({"type", "display"} | ({"budget_tokens"} if kind == "enabled" else set()), thinking, "thinking.")
    if kind not in {"enabled", "disabled", "adaptive", "between_tools"}:
        refuse(f"thinking.type: {kind!r} is not known")
    if kind in {"enabled", "adaptive"} and _SAMPLING & payload.keys():
        refuse("`temperature` may only be set to 1 when thinking is enabled")
    if kind != "enabled":
        return
    if not 1024 <= thinking.get("budget_tokens", 0) < payload["max_tokens"]:
        refuse("thinking.budget_tokens: at least 1024 and less than max_tokens")
    turns = payload["messages"]
    if len(turns) > 1 and _blocks(turns[-1])[0]["type"] == "tool_result":
        first = _blocks(turns[-2])[0]["type"]
        if first not in {"thinking", "redacted_thinking"}:
            refuse(f"Expected `thinking` or `redacted_thinking`, but found `{first}`")


def _blocks(turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = turn.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def _check_turns(turns: Sequence[dict[str, Any]], model: str) -> None:
    if not turns:
        refuse("messages: at least one message is required")
    if turns[-1].get("role") != "user" and not _is_paused(turns[-1]):
        refuse("This model does not support assistant message prefill. The conversation must end with a user message.")
    asked: set[str] = set()
    seen: set[str] = set()
    for number, turn in enumerate(turns):
        only({"role", "content"}, turn, f"messages.{number}.")
        expected = "assistant" if number % 2 else "user"
        if turn.get("role") != expected:
            refuse(f"messages.{number}: roles must alternate, beginning with user; found {turn.get('role')!r}")
        blocks = _blocks(turn)
        if not blocks:
            refuse(f"messages.{number}: content must not be empty")
        if expected == "user":
            _check_user(number, blocks, asked, model)
            asked = set()
        else:
            asked = _check_assistant(number, blocks, seen)


def _is_paused(turn: Mapping[str, Any]) -> bool:
    kind = str(_blocks(turn)[-1]["type"])
    return kind in {"server_tool_use", "web_search_tool_result"}


def _check_user(number: int, blocks: list[dict[str, Any]], asked: set[str], model: str) -> None:
    answered: set[str] = set()
    other_seen = False
    for block in blocks:
        if block["type"] == "text":
            _check_text(number, block)
            other_seen = True
        elif block["type"] == "tool_result":
            only(
                {"type", "tool_use_id", "content", "is_error", "cache_control"},
                block,
                f"messages.{number}.tool_result.",
            )
            if other_seen:
                refuse(f"messages.{number}: tool_result blocks must come first in the content")
            if block["tool_use_id"] not in asked:
                refuse(f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks")
            answered.add(block["tool_use_id"])
        elif block["type"] in {"image", "document"}:
            check_anthropic_block(f"messages.{number}", block, model)
            other_seen = True
        else:
            refuse(f"messages.{number}: block of type {block['type']!r} is not permitted in a user message")
    if asked != answered:
        refuse(f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately after")


def _check_assistant(number: int, blocks: list[dict[str, Any]], seen: set[str]) -> set[str]:
    asked: set[str] = set()
    fields = {"thinking": {"type", "thinking", "signature"}, "redacted_thinking": {"type", "data"}}
    for block in blocks:
        kind = block["type"]
        if kind == "text":
            _check_text(number, block)
        elif kind == "tool_use":
            only({"type", "id", "name", "input"}, block, f"messages.{number}.tool_use.")
            if block["id"] in seen or not _TOOL_USE_ID.fullmatch(block["id"]):
                refuse(f"messages.{number}: `tool_use` ids must be unique and match the pattern")
            if not isinstance(block["input"], dict):
                refuse(f"messages.{number}: tool_use.input: Input should be a valid dictionary")
            check_names([block["name"]])
            seen.add(block["id"])
            asked.add(block["id"])
        elif kind in {"server_tool_use", "web_search_tool_result"}:
            _check_server_block(number, blocks, block)
        elif kind in fields:
            if block.keys() != fields[kind] or not block.get("signature", block.get("data")):
                refuse(f"messages.{number}: Invalid `signature` in `thinking` block")
        else:
            refuse(f"messages.{number}: block of type {kind!r} is not permitted in an assistant message")
    return asked


def _check_server_block(number: int, blocks: list[dict[str, Any]], block: dict[str, Any]) -> None:
    if block["type"] == "server_tool_use":
        only({"type", "id", "name", "input"}, block, f"messages.{number}.server_tool_use.")
        if not isinstance(block["input"], dict) or not block["id"].startswith("srvtoolu_"):
            refuse(f"messages.{number}: server_tool_use.id: String should match pattern '^srvtoolu_'")
    elif block["tool_use_id"] not in {other.get("id") for other in blocks}:
        refuse(f"messages.{number}: a result without its `server_tool_use`")


def _check_text(number: int, block: dict[str, Any]) -> None:
    only({"type", "text", "cache_control"}, block, f"messages.{number}.text.")
    if not block["text"].strip():
        refuse(f"messages.{number}: text content blocks must contain non-whitespace text")
