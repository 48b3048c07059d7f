"""A stand-in for a model: it repeats what it is told, so that everything can be tried without a key. Deterministic.

Where an answer has to fit a schema, it makes one up that fits.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import orjson

from ai_agents.core.json import clean_text, dumps
from ai_agents.core.types import (
    JsonObject,
    ModelEvent,
    ModelRequest,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    TextPart,
    Usage,
)
from ai_agents.providers.assembly import PartWriter
from ai_agents.providers.base import Capabilities, Provider
from ai_agents.providers.files import ANY_FILES
from ai_agents.providers.rendering import result_text, tool_results_of, visible_texts
from ai_agents.providers.specs import PROVIDER_TYPES

NAME = "echo"
DEFAULT_MODEL = "echo"
NOTICE = "(This is echo, a stand-in that repeats what it is told. Set a provider's key to talk to a model.)"
# `/tool calculator {"expression": "6*7"}` makes it call that tool, if the agent has the tool.
_TOOL_COMMAND = re.compile(r"/tool\s+(\S+)\s*(.*)", re.DOTALL)
_WORDS = re.compile(r"\s*\S+\s*$|\s*\S+")
_CHARACTERS_PER_TOKEN = 4
# No schema that has a finite example needs more.
_MAX_DEPTH = 16
_OPTIONAL_DEPTH = 4
_MAX_VALUES = 1_000
_MAX_CHARACTERS = 10_000
_OF_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "someone@example.org",
    "hostname": "example.org",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


class EchoProvider(Provider):
    """Streams the last user's text back word by word, and waits `delay_s` seconds before each word."""

    name = NAME

    def __init__(self, *, model: str | None = None, delay_s: float = 0.0) -> None:
        super().__init__(model=model or DEFAULT_MODEL)
        self._delay_s = delay_s

    def capabilities(self, model: str) -> Capabilities:
        """It accepts every file, of which it repeats the name, and follows no instructions."""
        return Capabilities(instructions=False, files=ANY_FILES)

    def refusal_of(self, model: str) -> str | None:
        """It would answer in the place of any other model, and look as if it were that one."""
        if model == self.model:
            return None
        named, colon, rest = model.partition(":")
        if colon and named in PROVIDER_TYPES:
            advice = f'name them apart: "provider": "{named}", "model": "{rest}".'
        else:
            advice = "name the model's provider, or set that provider's key."
        return f"echo, the stand-in, is not the model {model}: {advice}"

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        model = request.model or DEFAULT_MODEL
        if (command := _tool_command(request)) is not None:
            writer = PartWriter()
            writer.tool_call(*command)
            for event in writer.events:
                yield event
            yield ResponseEnd("tool_use", _usage(request, []), model)
            return
        words = _WORDS.findall(_answer(request))
        limit = request.settings.max_tokens
        said = words if limit is None else words[:limit]
        for index, word in enumerate(said):
            await asyncio.sleep(self._delay_s)
            if index == 0:
                yield PartStart(0, "text")
            yield PartDelta(0, "text", word)
        if said:
            yield PartEnd(0, TextPart("".join(said)))
        yield ResponseEnd("end" if said == words else "max_tokens", _usage(request, said), model)


def _tool_command(request: ModelRequest) -> tuple[str, str] | None:
    """The tool that the last message names in a command, with its raw arguments; None where it is not offered."""
    last = request.messages[-1]
    if last.role != "user":
        return None
    found = _TOOL_COMMAND.fullmatch("".join(visible_texts(last.parts)).strip())
    if found is None or all(tool.name != found[1] for tool in request.tools):
        return None
    return found[1], found[2]


def _answer(request: ModelRequest) -> str:
    users = [message for message in request.messages if message.role == "user"]
    last = "\n\n".join(visible_texts(users[-1].parts)).strip() if users else ""
    if request.output_schema is not None:
        return dumps(_Example(request.output_schema, clean_text(last)).value(request.output_schema))
    if results := tool_results_of(request.messages[-1]):
        said = [f"{part.name} {'failed' if part.is_error else 'answered'}: {result_text(part)}" for part in results]
        last = "\n".join(said)
    return clean_text(f"echo: {last}\n\n{NOTICE}")


def _usage(request: ModelRequest, words: list[str]) -> Usage:
    """An estimate from the number of characters, marked as one."""
    sent = orjson.dumps([visible_texts(message.parts) for message in request.messages])
    return Usage(
        input_tokens=len(sent) // _CHARACTERS_PER_TOKEN,
        output_tokens=sum(map(len, words)) // _CHARACTERS_PER_TOKEN,
        estimated=True,
    )


class _Example:
    """Makes a value that fits a schema, as far as its keywords tell. Free strings are `text`.

    The number of values is limited, since a small schema can require a very large value.
    """

    def __init__(self, root: JsonObject, text: str) -> None:
        self._root = root
        self._text = text
        self._left = _MAX_VALUES

    def value(self, schema: Any, depth: int = 0) -> Any:
        """A value that fits this part of the schema."""
        self._left -= 1
        if not isinstance(schema, dict) or depth > _MAX_DEPTH or self._left < 0:
            return None
        if "$ref" in schema:
            return self.value(_resolved(schema["$ref"], self._root), depth + 1)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        for word in ("anyOf", "oneOf", "allOf"):
            variant = next(iter(schema.get(word) or ()), None)
            if isinstance(variant, dict):
                return self.value(schema | {word: None} | variant, depth + 1)
        return self._of_type(schema, depth)

    def _of_type(self, schema: JsonObject, depth: int) -> Any:
        kind = schema.get("type")
        match kind[0] if isinstance(kind, list) else kind:
            case "string":
                return _string(schema, self._text)
            case "integer" | "number":
                return _number(schema)
            case "boolean":
                return True
            case "array":
                item = self.value(schema.get("items"), depth + 1)
                return [item] * min(schema.get("minItems", 0 if item is None else 1), _MAX_VALUES)
            case "object":
                return self._object(schema, depth)
        return None

    def _object(self, schema: JsonObject, depth: int) -> JsonObject:
        properties = schema.get("properties") or {}
        names = dict.fromkeys([*(properties if depth < _OPTIONAL_DEPTH else ()), *(schema.get("required") or ())])
        return {name: self.value(properties.get(name), depth + 1) for name in names}


def _string(schema: JsonObject, text: str) -> str:
    if schema.get("format") in _OF_FORMATS:
        return _OF_FORMATS[schema["format"]]
    text = text.ljust(min(schema.get("minLength", 0), _MAX_CHARACTERS), ".")
    return text[: schema.get("maxLength", len(text))]


def _number(schema: JsonObject) -> Any:
    step = schema.get("multipleOf") or 1
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    start = least if least is not None else most if most is not None and most < 0 else 0
    number = -(-start // step) * step
    if number == schema.get("exclusiveMinimum"):
        number += step
    if number == schema.get("exclusiveMaximum"):
        number -= step
    return number


def _resolved(reference: Any, root: JsonObject) -> Any:
    value: Any = root
    for step in str(reference).removeprefix("#").strip("/").split("/"):
        if step:
            value = value.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(value, dict) else None
    return value
