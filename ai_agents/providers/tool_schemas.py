"""The parameters of tools in the forms that providers accept. Pure.

Legal schemas are refused by some providers, and one refused tool takes down every request that names it. The form
accepts whatever the tool's own schema accepts, and may accept more: the tool's schema still decides about a call. What
the form does not say stands in the description. A tool whose arguments cannot be an object has no form.

Sources, read 2026-11-30. OpenAI: https://github.com/langchain-ai/langchainjs/issues/9804 (no composition at the top),
https://github.com/spring-projects/spring-ai/issues/4776 (an object without properties),
https://github.com/mark3labs/mcphost/issues/35 (a list without items). Anthropic:
https://github.com/anthropics/claude-code/issues/5973 (composition), …/79418 (keys), …/63673 (draft 2020-12). Ollama:
https://github.com/ollama/ollama/issues/10328, …/14256 and …/18051 (it reads schemas into types of its own). Gemini:
https://ai.google.dev/gemini-api/docs/structured-output ("JSON schema support").
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

from ai_agents.core.byte_cache import cached, size_of_json
from ai_agents.core.json import dumps, loads
from ai_agents.core.notices import ToolLeftOut
from ai_agents.core.types import JsonObject, ModelRequest, ToolDefinition
from ai_agents.providers.schema_cleaning import SchemaCleaner
from ai_agents.providers.schema_merging import UNEVALUATED, both, either, types_of

# Providers that refuse the same schemas. A server is like the provider whose wire format it speaks, and refuses on each
# of them what OpenAI refuses: llama.cpp's, seen 2026-11-30.
Family = Literal["anthropic", "openai", "ollama", "gemini"]
NO_FORM = "Its parameters are no schema of an object, so that the model could not call it."
_COMPOSED = ("allOf", "anyOf", "oneOf")
# Keywords that are refused beside the properties of a tool, or not read there.
_NOT_AT_TOP = (*_COMPOSED, "enum", "const", "not")
_READS_REFERENCES = frozenset({"anthropic", "openai"})
_ANTHROPIC_KEY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
# A longer remark costs more tokens than it helps.
_MAX_REMARK = 2_000
# Each request needs the forms of its tools, and tools seldom change.
_KEPT_BYTES = 32 * 1024 * 1024


def with_tool_forms(request: ModelRequest, family: Family) -> ModelRequest:
    """The request with its tools in the form that the family accepts, without those that have none.

    Names for the wire are made of the tools that were there before: the parser knows those.
    """
    tools = [(tool, _form_of(tool, family)) for tool in request.tools]
    if all(form == (tool.parameters, "") for tool, form in tools):
        return request
    return replace(request, tools=tuple(_formed(tool, form) for tool, form in tools if form is not None))


def tools_without_form(request: ModelRequest, family: Family) -> Iterator[ToolLeftOut]:
    """That a tool is left out, for each that has no form."""
    for tool in request.tools:
        if _form_of(tool, family) is None:
            yield {"code": "tool_left_out", "tool": tool.name, "reason": NO_FORM}


def parameters_form(schema: Any, family: Family) -> tuple[JsonObject, str] | None:
    """The schema of a tool's parameters in the form of this family, and what it does not say; None where it has none.

    A schema that the family accepts stays as it is. Callers must not change the form.
    """
    if schema is None:
        schema = {}
    try:
        return _form(dumps(schema), family)
    except (TypeError, ValueError, RecursionError):
        return None


def _form_of(tool: ToolDefinition, family: Family) -> tuple[JsonObject, str] | None:
    return parameters_form(tool.parameters, family)


def _formed(tool: ToolDefinition, form: tuple[JsonObject, str]) -> ToolDefinition:
    parameters, remark = form
    return replace(tool, parameters=parameters, description="\n\n".join(filter(None, (tool.description, remark))))


@cached(_KEPT_BYTES, size_of_json)
def _form(text: str, family: Family) -> tuple[JsonObject, str] | None:
    schema = loads(text)
    root = schema if isinstance(schema, dict) else {}
    found = _Objects(root, family, exact_references=True).find(schema)
    if found is not None and found != schema:
        # References may lead to what has changed.
        found = _Objects(root, family, exact_references=False).find(schema)
    return None if found is None else _finished(found, root, family)


class _Objects:
    """Finds the schema of an object in a schema whose top level refers or is composed."""

    def __init__(self, root: JsonObject, family: Family, *, exact_references: bool) -> None:
        self._cleaner = SchemaCleaner(root, inline=family not in _READS_REFERENCES, exact_references=exact_references)

    def find(self, schema: Any, path: tuple[str, ...] = ()) -> JsonObject | None:
        """A schema for the objects that fit; None where none can."""
        if not isinstance(schema, dict):
            return {"type": "object"} if schema is True else None
        is_composed = "$ref" in schema or any(isinstance(schema.get(word), list) for word in _COMPOSED)
        own = {word: value for word, value in schema.items() if word not in _COMPOSED}
        if is_composed:
            own = {word: value for word, value in own.items() if word not in UNEVALUATED}
        if "$ref" in schema:
            own = self._cleaner.beside_reference(own)
        found: JsonObject = self._cleaner.clean(own)[0]
        types = types_of(found)
        if types and "object" not in types:
            return None
        found = found | {"type": "object"} if "type" in found else {"type": "object"} | found
        for part in self._parts(schema, path):
            if part is None:
                return None
            found = both(found, part)
        return found

    def _parts(self, schema: JsonObject, path: tuple[str, ...]) -> Iterator[JsonObject | None]:
        """What the top level refers to and is composed of."""
        if "$ref" in schema:
            reference = schema["$ref"]
            target = self._cleaner.target(reference)
            is_known = isinstance(target, dict | bool) and reference not in path
            yield self.find(target, (*path, reference)) if is_known else {"type": "object"}
            if not self._cleaner.beside_reference(dict.fromkeys(_COMPOSED)):
                return
        if isinstance(schema.get("allOf"), list):
            yield from (self.find(each, path) for each in schema["allOf"])
        for word in ("anyOf", "oneOf"):
            if isinstance(schema.get(word), list) and schema[word]:
                branches = [found for each in schema[word] if (found := self.find(each, path)) is not None]
                yield either(branches) if branches else None


def _finished(found: JsonObject, schema: JsonObject, family: Family) -> tuple[JsonObject, str]:
    form = {word: value for word, value in found.items() if word not in _NOT_AT_TOP}
    form.setdefault("properties", {})
    unsaid = _unsaid(schema)
    remarks = [f"The arguments must also fit this JSON Schema: {dumps(unsaid)}"] if unsaid else []
    if family == "anthropic" and (odd := [key for key in form["properties"] if not _ANTHROPIC_KEY.fullmatch(key)]):
        named = dumps({key: form["properties"][key] for key in odd})
        required = [key for key in form.get("required", ()) if key in odd]
        remarks.append(f"There are more arguments: {named}. Of these {dumps(required)} are required.")
        form = _without(form, odd)
    return form, "\n".join(remark for remark in remarks if len(remark) <= _MAX_REMARK)


def _unsaid(schema: JsonObject) -> JsonObject:
    """What of the schema's top level is not in its form: alternatives and exceptions."""
    found = {word: schema[word] for word in _NOT_AT_TOP if word in schema}
    if not any(f'"{word}":' in dumps(found.get("allOf")) for word in ("anyOf", "oneOf", "not")):
        found.pop("allOf", None)  # the form holds the properties of all its parts
    if '"$ref":' in dumps(found):
        found |= {word: schema[word] for word in ("$defs", "definitions") if word in schema}
    return found


def _without(form: JsonObject, keys: list[str]) -> JsonObject:
    """The form without these properties, which may still be given."""
    closing = {"additionalProperties", *UNEVALUATED}
    form = {word: value for word, value in form.items() if word not in closing}
    form["properties"] = {key: inner for key, inner in form["properties"].items() if key not in keys}
    if "required" in form:
        form["required"] = [key for key in form["required"] if key not in keys]
    return form
