"""Schemas of tools that are legal JSON Schema and are refused all the same, by provider.

One tool that is refused takes down every request that names it. Sources, read 2026-11-22. OpenAI:
https://github.com/langchain-ai/langchainjs/issues/9804 (no composition at the top),
https://github.com/spring-projects/spring-ai/issues/4776 (an object without properties),
https://github.com/mark3labs/mcphost/issues/35 (an array without items). Anthropic:
https://github.com/anthropics/claude-code/issues/5973 (composition), …/79418 (keys), …/63673 (draft 2020-12).
Ollama: https://github.com/ollama/ollama/issues/10328, …/14256 and …/18051 (its Go structs).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

from tests.fakes.broken import refuse

_COMPOSED = ("oneOf", "anyOf", "allOf")
_META = jsonschema_rs.Draft202012Validator({"$ref": "https://json-schema.org/draft/2020-12/schema"})
_ANTHROPIC_KEY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_INNER = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")


def check_openai_schema(name: str, schema: Mapping[str, Any]) -> None:
    """Raise `BrokenRule` if OpenAI, and those who copy its checks, would refuse these parameters."""
    start = f"Invalid schema for function '{name}':"
    if schema.get("type") != "object":
        refuse(f"{start} schema must be a JSON Schema of 'type: \"object\"', got 'type: {schema.get('type')}'.")
    if any(word in schema for word in (*_COMPOSED, "enum", "not")):
        refuse(f"{start} schema must not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level.")
    if not isinstance(schema.get("properties"), dict):
        refuse(f"{start} In context=(), object schema missing properties.")
    for context, inner in _schemas(schema, ()):
        types = inner.get("type")
        if "array" in (types if isinstance(types, list) else [types]) and "items" not in inner:
            refuse(f"{start} In context={context}, array schema missing items.")


def check_anthropic_schema(where: str, schema: Mapping[str, Any]) -> None:
    """Raise `BrokenRule` if Anthropic would refuse this input schema."""
    if schema.get("type") != "object":
        refuse(f"{where}.type: Field required")
    if any(word in schema for word in _COMPOSED):
        refuse(f"{where}: input_schema does not support oneOf, allOf, or anyOf at the top level")
    for key in schema.get("properties") or ():
        if not _ANTHROPIC_KEY.fullmatch(key):
            refuse(f"{where}.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{{1,64}}$'")
    if not _META.is_valid(schema):
        refuse(f"{where}: JSON schema is invalid. It must match JSON Schema draft 2020-12")


def check_ollama_schema(where: str, schema: Mapping[str, Any]) -> None:
    """Raise `BrokenRule` if Ollama could not read these parameters into its own types."""
    if schema.get("type") != "object":
        refuse(f"{where}: a function with parameters of type object is wanted")
    _check_go_property(where, schema)


def _check_go_property(where: str, schema: Any) -> None:
    if not isinstance(schema, Mapping):
        refuse(f"json: cannot unmarshal {schema!r} into Go struct field {where} of type api.ToolProperty")
    kinds: dict[str, type | tuple[type, ...]] = {
        "type": (str, list),
        "description": str,
        "enum": list,
        "required": list,
        "properties": dict,
        "anyOf": list,
    }
    for word, kind in kinds.items():
        if schema.get(word) is not None and not isinstance(schema[word], kind):
            refuse(f"json: cannot unmarshal {schema[word]!r} into Go struct field {where}.{word}")
    for key, inner in (schema.get("properties") or {}).items():
        _check_go_property(f"{where}.properties.{key}", inner)
    for inner in schema.get("anyOf") or ():
        _check_go_property(f"{where}.anyOf", inner)


def _schemas(schema: Any, context: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """The schema and all schemas in it, each with its place."""
    if not isinstance(schema, Mapping):
        return
    yield context, schema
    for word in _MAPS:
        for key, inner in (schema.get(word) or {}).items():
            yield from _schemas(inner, (*context, word, key))
    for word in _INNER:
        yield from _schemas(schema.get(word), (*context, word))
    for word in (*_COMPOSED, "prefixItems"):
        for number, inner in enumerate(schema.get(word) or ()):
            yield from _schemas(inner, (*context, word, str(number)))
