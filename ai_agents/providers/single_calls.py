"""Histories for servers whose chat templates allow one tool call in a message, such as those of Llama 3."""

import re
from collections.abc import Sequence
from dataclasses import replace

from ai_agents.core.types import ModelMessage, ToolCallPart

# Templates of Llama 3.1 to 3.3: "This model only supports single tool-calls at once!", as llama.cpp, vLLM and LM Studio
# report it: https://github.com/ggml-org/llama.cpp/tree/master/models/templates, read 2026-11-30.
_ONE_CALL = re.compile(r"(only|not) support\w*\W+(single|multiple|parallel) tool[- ]?calls?", re.IGNORECASE)


def wants_single_calls(said: str) -> bool:
    """Whether a server refuses a request since one of its messages has several tool calls."""
    return _ONE_CALL.search(said) is not None


def one_call_at_a_time(messages: Sequence[ModelMessage]) -> tuple[ModelMessage, ...]:
    """The messages, with each call in a message of its own and its result right after it.

    What stands before a call goes with it. Every result comes after all calls of its message, as `repair` leaves them.
    """
    found: list[ModelMessage] = []
    results: dict[str, ModelMessage] = {}
    for index, message in enumerate(messages):
        if message.role == "tool":
            found += [each for each in _single_results(message) if _id_of(each) not in results]
            continue
        results = {}
        calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
        if len(calls) < 2:
            found.append(message)
            continue
        results = _results_after(messages, index)
        found += _split(message, results)
    return tuple(found)


def _split(message: ModelMessage, results: dict[str, ModelMessage]) -> list[ModelMessage]:
    found: list[ModelMessage] = []
    start = 0
    for end, part in enumerate(message.parts, start=1):
        if isinstance(part, ToolCallPart):
            found.append(replace(message, parts=message.parts[start:end]))
            found += [results[part.tool_call_id]] if part.tool_call_id in results else []
            start = end
    rest = message.parts[start:]
    if rest:
        # What a model says after its last call belongs before it: nothing may part a call from its result.
        first = found[0]
        found[0] = replace(first, parts=(*rest, *first.parts))
    return found


def _results_after(messages: Sequence[ModelMessage], index: int) -> dict[str, ModelMessage]:
    found: dict[str, ModelMessage] = {}
    for message in messages[index + 1 :]:
        if message.role != "tool":
            break
        found |= {_id_of(each): each for each in _single_results(message)}
    return found


def _single_results(message: ModelMessage) -> list[ModelMessage]:
    return [replace(message, parts=(part,)) for part in message.parts]


def _id_of(message: ModelMessage) -> str:
    (part,) = message.parts
    return getattr(part, "tool_call_id", "")
