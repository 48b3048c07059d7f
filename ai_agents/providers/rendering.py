"""What every provider's rendering needs: files and results as text, tool names that any API takes, the open turn."""

import re
from collections.abc import Iterable, Sequence

from ai_agents.core.json import dumps
from ai_agents.core.types import FilePart, ModelMessage, Part, TextPart, ToolCallPart, ToolDefinition, ToolResultPart

# Anthropic takes 128 characters, OpenAI 64.
MAX_NAME = 64
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_CLOSING_MARK = re.compile("</(?=file_content)", re.IGNORECASE)
# Stands where a user's message holds nothing that can be sent: every API wants one that is not empty.
EMPTY_TEXT = "(empty message)"


class ToolNames:
    """Names of tools as the APIs take them (letters, digits, `_`, `-`), and back: `server/tool` is none of those."""

    def __init__(self, tools: Iterable[ToolDefinition]) -> None:
        self._to_wire: dict[str, str] = {}
        self._from_wire: dict[str, str] = {}
        for tool in tools:
            wire = self._free(tool.name)
            self._to_wire[tool.name] = wire
            self._from_wire[wire] = tool.name

    def to_wire(self, name: str) -> str:
        """The name to send; the history may name tools that are not offered any more."""
        return self._to_wire.get(name) or _plain(name)

    def from_wire(self, name: str) -> str:
        """The tool that the model means by this name; the name itself if there is none."""
        return self._from_wire.get(name, name)

    def _free(self, name: str) -> str:
        plain = wire = _plain(name)
        number = 2
        while wire in self._from_wire:
            suffix = f"_{number}"
            wire = plain[: MAX_NAME - len(suffix)] + suffix
            number += 1
        return wire


def visible_texts(parts: Iterable[Part]) -> list[str]:
    """The text and file parts as texts, adjacent text parts as one, without blank ones: APIs refuse those."""
    texts: list[str] = []
    text = ""
    for part in parts:
        if isinstance(part, TextPart):
            text += part.text
        elif isinstance(part, FilePart):
            texts += [text, file_text(part)]
            text = ""
    texts.append(text)
    return [text for text in texts if text.strip()]


def file_text(part: FilePart) -> str:
    """A file's name, and where the request holds it the text that is in it, marked off."""
    name = f"[file: {part.filename} ({part.media_type})]"
    if part.content is None or part.content.form != "text" or not part.content.text.strip():
        return name
    # A text that quotes the closing mark must not seem to end there.
    return f"{name}\n<file_content>\n{_CLOSING_MARK.sub('<_/', part.content.text)}\n</file_content>"


def tool_calls_of(message: ModelMessage) -> list[ToolCallPart]:
    """The tool calls of a message, in order."""
    return [part for part in message.parts if isinstance(part, ToolCallPart)]


def tool_results_of(message: ModelMessage) -> list[ToolResultPart]:
    """The tool results of a message, in order."""
    return [part for part in message.parts if isinstance(part, ToolResultPart)]


def result_text(part: ToolResultPart) -> str:
    """What a tool answered, as a text that is not empty."""
    text = part.result if isinstance(part.result, str) else dumps(part.result)
    return text if text.strip() else "(no output)"


def turn_start(messages: Sequence[ModelMessage]) -> int:
    """The index of the first message after the last user's: where the turn under way begins."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role == "user":
            return index + 1
    return 0


def _plain(name: str) -> str:
    return _NOT_IN_NAMES.sub("_", name)[:MAX_NAME] or "_"
