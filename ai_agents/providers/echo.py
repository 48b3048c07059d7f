"""A stand-in for a model: it repeats what it is told, so that everything can be tried without a key. Deterministic.

Where an answer has to fit a schema, it makes one up that fits.
"""

import asyncio
import re
from collections.abc import AsyncIterator

import orjson

from ai_agents.core.json import clean_text, dumps
from ai_agents.core.types import (
    ModelEvent,
    ModelMessage,
    ModelRequest,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    TextPart,
    ToolResultPart,
    Usage,
)
from ai_agents.providers.assembly import PartWriter
from ai_agents.providers.base import Capabilities, Provider
from ai_agents.providers.examples import example_of
from ai_agents.providers.files import ANY_FILES
from ai_agents.providers.rendering import result_text, visible_texts

NAME = "echo"
DEFAULT_MODEL = "echo"
NOTICE = "(This is echo, a stand-in that repeats what it is told. Set a provider's key to talk to a model.)"
# `/tool calculator {"expression": "6*7"}` makes it call that tool, if the agent has the tool.
_TOOL_COMMAND = re.compile(r"/tool\s+(\S+)\s*(.*)", re.DOTALL)
_WORDS = re.compile(r"\s*\S+\s*$|\s*\S+")
_CHARACTERS_PER_TOKEN = 4


class EchoProvider(Provider):
    """Streams the last user's text back word by word, and waits `delay_s` seconds before each word."""

    name = NAME

    def __init__(self, *, model: str | None = None, delay_s: float = 0.0) -> None:
        super().__init__(model=model or DEFAULT_MODEL)
        self._delay_s = delay_s

    def capabilities(self, model: str) -> Capabilities:
        """It accepts every file, of which it repeats the name, and follows no instructions."""
        return Capabilities(instructions=False, files=ANY_FILES)

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Stream one response; see `Provider.stream`."""
        model = request.model or DEFAULT_MODEL
        command = _tool_command(request)
        if command is not None:
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
    last = _said(users[-1]) if users else ""
    if request.output_schema is not None:
        return dumps(example_of(request.output_schema, clean_text(last)))
    results = [part for part in request.messages[-1].parts if isinstance(part, ToolResultPart)]
    if results:
        said = "\n".join(
            f"{part.name} {'failed' if part.is_error else 'answered'}: {result_text(part)}" for part in results
        )
    else:
        said = last
    return clean_text(f"echo: {said}\n\n{NOTICE}")


def _said(message: ModelMessage) -> str:
    return "\n\n".join(visible_texts(message.parts)).strip()


def _usage(request: ModelRequest, words: list[str]) -> Usage:
    """An estimate from the number of characters, marked as one."""
    sent = orjson.dumps([visible_texts(message.parts) for message in request.messages])
    return Usage(
        input_tokens=len(sent) // _CHARACTERS_PER_TOKEN,
        output_tokens=sum(map(len, words)) // _CHARACTERS_PER_TOKEN,
        estimated=True,
    )
