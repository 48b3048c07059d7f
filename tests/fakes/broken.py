"""The error for a broken rule, and the checks that the rules of all providers share."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class BrokenRule(Exception):
    """A request that the provider would refuse."""


def refuse(message: str) -> NoReturn:
    """Raise `BrokenRule`."""
    raise BrokenRule(message)


def only(fields: set[str], given: Mapping[str, Any], where: str = "") -> None:
    """Raise `BrokenRule` for a field that is not among these."""
    unknown = sorted(given.keys() - fields)
    if unknown:
        refuse(f"{where}{unknown[0]}: Extra inputs are not permitted")


def check_names(names: Sequence[str]) -> None:
    """Raise `BrokenRule` for a tool's name that is invalid or a duplicate."""
    for name in names:
        if not _TOOL_NAME.fullmatch(name):
            refuse(f"tools: name {name!r} does not match the pattern")
    if len(set(names)) != len(names):
        refuse("tools: Tool names must be unique")


def check_json_schema(model: str, form: Mapping[str, Any]) -> None:
    """Raise `BrokenRule` for a form of structured output that OpenAI would refuse."""
    only({"name", "schema", "strict", "description", "type"}, form, "json_schema.")
    if re.match(r"gpt-3|gpt-4(-|$)|deepseek", model):
        refuse("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.")
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", form["name"]) or form["schema"].get("type") != "object":
        refuse("Invalid schema for response_format: schema must be a JSON Schema of 'type: \"object\"'")
    if form.get("strict"):
        _check_strict(form["schema"])


def _check_strict(schema: Any) -> None:
    for inner in schema if isinstance(schema, list) else schema.values() if isinstance(schema, dict) else ():
        _check_strict(inner)
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return
    if schema.get("additionalProperties") is not False:
        refuse("Invalid schema: 'additionalProperties' is required to be supplied and to be false.")
    if set(schema.get("required", ())) != set(schema.get("properties", ())):
        refuse("Invalid schema: 'required' is required to be supplied and to be an array including every key.")
