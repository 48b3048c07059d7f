"""The published rules for requests of Gemini's API.

Sources, read 2026-11-30: https://ai.google.dev/api/generate-content, https://ai.google.dev/api/caching (its
`Content`, `Part`, `FunctionDeclaration`), https://ai.google.dev/gemini-api/docs/function-calling and
…/thought-signatures.
"""

import re
from collections.abc import Mapping
from typing import Any

from tests.fakes.broken import only, refuse

_FIELDS = {"systemInstruction", "contents", "tools", "toolConfig", "generationConfig", "safetySettings"}
_CONFIG = {"maxOutputTokens", "temperature", "topP", "stopSequences", "thinkingConfig"}
_CONFIG |= {"responseMimeType", "responseJsonSchema"}
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.-]{0,63}")
_MEDIA_TYPES = {"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif", "application/pdf"}
# What the API reads of a JSON Schema; it refuses a schema with more.
_SCHEMA = {"$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items", "prefixItems"}
_SCHEMA |= {"minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties", "additionalProperties"}
_SCHEMA |= {"required", "propertyOrdering"}


def check(payload: Mapping[str, Any], model: str) -> None:
    """Raise `BrokenRule` if this request breaks a rule of the API."""
    only(_FIELDS, payload)
    config = payload.get("generationConfig", {})
    only(_CONFIG, config, "generation_config.")
    if len(config.get("stopSequences", ())) > 5:
        refuse("stop_sequences: at most 5")
    _check_schema(config.get("responseJsonSchema", True))
    _check_thinking(config.get("thinkingConfig"), model)
    if "systemInstruction" in payload:
        if model.startswith("gemma"):
            refuse(f"Developer instruction is not enabled for models/{model}")
        _check_parts("system_instruction", payload["systemInstruction"]["parts"], {"text"})
    if "tools" in payload:
        if config.get("responseMimeType") == "application/json":
            refuse("Function calling with a response mime type: 'application/json' is unsupported")
        _check_functions(payload["tools"], model)
    _check_contents(payload.get("contents") or refuse("contents is not specified"), model)


def _check_thinking(config: Mapping[str, Any] | None, model: str) -> None:
    if config is None:
        return
    only({"thinkingBudget", "thinkingLevel", "includeThoughts"}, config, "thinking_config.")
    if re.match(r"gemini-1|gemini-2\.0|gemma", model):
        refuse("Thinking is not enabled for this model")
    if "thinkingLevel" in config and re.match(r"gemini-2", model):
        refuse("Thinking level is not supported for this model.")
    if config.get("thinkingBudget") == 0 and "2.5-pro" in model:
        refuse("Budget 0 is invalid. This model only works in thinking mode.")
    if "thinkingLevel" in config:
        known = {"minimal", "low", "medium", "high"} if "flash" in model else {"low", "high"}
        if config["thinkingLevel"] not in known:
            refuse(f"Thinking level {config['thinkingLevel']} is not supported for this model.")


def _check_functions(tools: Any, model: str) -> None:
    if model.startswith("gemma"):
        refuse("Function calling is not enabled for this model")
    declared = [each for tool in tools for each in tool["functionDeclarations"]]
    if not declared:
        refuse("tools: function_declarations is empty")
    for each in declared:
        only({"name", "description", "parametersJsonSchema"}, each, "function_declarations.")
        if not _NAME.fullmatch(each["name"]):
            refuse(f"Invalid function name {each['name']!r}. Must start with a letter or an underscore.")
        if each["parametersJsonSchema"].get("type") != "object":
            refuse("parameters_json_schema: only schemas of type object are allowed")
        _check_schema(each["parametersJsonSchema"])
    if len({each["name"] for each in declared}) != len(declared):
        refuse("Duplicate function declaration found")


def _check_schema(schema: Any) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping):
        refuse(f"parameters_json_schema: {schema!r} is no schema")
    only(_SCHEMA, schema, "parameters_json_schema.")
    inner = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    inner += [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("prefixItems", ())]
    inner += [schema[name] for name in ("items", "additionalProperties") if name in schema]
    for each in inner:
        _check_schema(each)


def _check_contents(contents: list[Any], model: str) -> None:
    calls: list[str] = []
    for number, content in enumerate(contents):
        where = f"contents[{number}]"
        only({"role", "parts"}, content, f"{where}.")
        expected = "model" if number % 2 else "user"
        if content.get("role") != expected:
            refuse(f"{where}: Please ensure that multiturn requests alternate between user and model.")
        if expected == "user":
            answers = [part["functionResponse"]["name"] for part in content["parts"] if "functionResponse" in part]
            if answers != calls or (calls and len(content["parts"]) != len(calls)):
                refuse(
                    "Please ensure that the number of function response parts is equal to the number of function call "
                    "parts of the function call turn."
                )
            _check_parts(where, content["parts"], {"text", "inlineData", "functionResponse"})
            calls = []
            continue
        _check_parts(where, content["parts"], {"text", "functionCall", "thought", "thoughtSignature"})
        called = [part for part in content["parts"] if "functionCall" in part]
        if called and re.match(r"gemini-[3-9]", model) and "thoughtSignature" not in called[0]:
            refuse(f"Function call `{called[0]['functionCall']['name']}` is missing a `thought_signature`.")
        calls = [part["functionCall"]["name"] for part in called]
    if contents[-1]["role"] != "user":
        refuse("Please ensure that single turn requests end with a user role")


def _check_parts(where: str, parts: list[Any], fields: set[str]) -> None:
    if not parts:
        refuse(f"{where}.parts must not be empty.")
    for part in parts:
        only(fields, part, f"{where}.parts.")
        if not part.keys() & {"text", "inlineData", "functionCall", "functionResponse"}:
            refuse(f"{where}.parts: required oneof field 'data' must have one initialized field")
        if "text" in part and not part["text"].strip() and "thoughtSignature" not in part:
            refuse(f"{where}.parts: Unable to submit request because it has an empty text parameter.")
        if "inlineData" in part and part["inlineData"]["mimeType"] not in _MEDIA_TYPES:
            refuse(f"Unsupported MIME type: {part['inlineData']['mimeType']}")
        if "functionResponse" in part and not isinstance(part["functionResponse"]["response"], dict):
            refuse(f"{where}.parts.function_response.response: an object is wanted")
        if "functionCall" in part and not isinstance(part["functionCall"]["args"], dict):
            refuse(f"{where}.parts.function_call.args: an object is wanted")
