"""Histories for models that take no tools: the calls of other models, and their results, as texts."""

import re
from collections.abc import Sequence
from dataclasses import replace

from ai_agents.core.json import dumps
from ai_agents.core.types import ModelMessage, ModelRequest, Part, TextPart, ToolCallPart
from ai_agents.providers.rendering import result_text, tool_results_of

# Templates without tools: "Conversation roles must alternate user/assistant" (Gemma 2), "Only user and assistant roles
# are supported!", as llama.cpp and vLLM report them: https://github.com/ggml-org/llama.cpp/tree/master/models/templates,
# read 2026-11-30.
_ROLES = re.compile(
    r"roles must alternate|(only|unsupported|unexpected|invalid|unknown)\b[^.]{0,40}\broles?\b"
    r"|\broles?\b[^.]{0,20}\b(not supported|unsupported)",
    re.IGNORECASE,
)


def refuses_roles(said: str) -> bool:
    """Whether a server refuses a request for the roles of its messages."""
    return _ROLES.search(said) is not None


def without_tools(request: ModelRequest) -> ModelRequest:
    """The request without tools: calls are said in the assistant's words, results in the user's."""
    return replace(request, messages=calls_as_texts(request.messages), tools=())


def calls_as_texts(messages: Sequence[ModelMessage]) -> tuple[ModelMessage, ...]:
    """The messages, with each call and each result as a text."""
    found: list[ModelMessage] = []
    for message in messages:
        if message.role == "tool":
            said = [f"(Result of {part.name}: {result_text(part)})" for part in tool_results_of(message)]
            found.append(replace(message, role="user", parts=(TextPart("\n\n".join(said)),)))
        else:
            found.append(replace(message, parts=_with_texts(message.parts)))
    return tuple(found)


def _with_texts(parts: Sequence[Part]) -> tuple[Part, ...]:
    found: list[Part] = []
    for part in parts:
        if isinstance(part, ToolCallPart):
            gap = "\n\n" if any(isinstance(each, TextPart) for each in found) else ""
            found.append(TextPart(f"{gap}(Call of {part.name}: {dumps(part.arguments)})"))
        else:
            found.append(part)
    return tuple(found)
