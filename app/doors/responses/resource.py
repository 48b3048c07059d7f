"""The response as clients read it: every key is there, null or a default where there is nothing to say.

Source: `ResponseResource` of the Open Responses document (openresponses/openresponses, `public/openapi/openapi.json`),
read 2026-11-29.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypedDict

from ai_agents.core.types import JsonObject, TokenCounts, ToolDefinition

ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]


class Asked(TypedDict, total=False):
    """What a request asked for, as its response repeats it. What is left out has the protocol's default."""

    instructions: str | None
    previous_response_id: str | None
    tools: list[JsonObject]
    tool_choice: str | JsonObject
    parallel_tool_calls: bool
    text: JsonObject
    reasoning: JsonObject
    temperature: float
    top_p: float
    max_output_tokens: int | None
    max_tool_calls: int | None
    truncation: str
    store: bool
    background: bool
    service_tier: str
    metadata: dict[str, str]
    safety_identifier: str | None
    prompt_cache_key: str | None
    conversation: JsonObject | None
    # Not repeated: the namespaces of the client's functions.
    namespaces: list[str]


_DEFAULTS: JsonObject = {
    "previous_response_id": None,
    "instructions": None,
    "tools": [],
    "tool_choice": "auto",
    "truncation": "disabled",
    "parallel_tool_calls": True,
    "text": {"format": {"type": "text"}},
    "top_p": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "top_logprobs": 0,
    "temperature": 1.0,
    "reasoning": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "store": True,
    "background": False,
    "service_tier": "default",
    "metadata": {},
    "safety_identifier": None,
    "prompt_cache_key": None,
}


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """What is known of a response from its beginning. `created_at` is RFC 3339; `model` is the agent's id."""

    id: str
    created_at: str
    model: str
    asked: Asked = field(default_factory=Asked)


@dataclass(slots=True)
class ResponseState:
    """How far a response has come."""

    status: ResponseStatus = "in_progress"
    output: list[JsonObject] = field(default_factory=list)
    usage: TokenCounts | None = None
    completed_at: str | None = None
    incomplete_reason: str | None = None
    error: JsonObject | None = None


def to_resource(head: ResponseHead, state: ResponseState) -> JsonObject:
    """The response as it is now."""
    return {
        "id": head.id,
        "object": "response",
        "created_at": unix_time(head.created_at),
        "completed_at": None if state.completed_at is None else unix_time(state.completed_at),
        "status": state.status,
        "incomplete_details": None if state.incomplete_reason is None else {"reason": state.incomplete_reason},
        "model": head.model,
        "output": state.output,
        "error": state.error,
        "usage": to_usage(state.usage),
        **_DEFAULTS,
        **{name: value for name, value in head.asked.items() if name != "namespaces"},
    }


def tool_shown(tool: ToolDefinition) -> JsonObject:
    """A tool of the client. It is strict: arguments that do not fit its schema never reach the client."""
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": True,
    }


def to_usage(counts: TokenCounts | None) -> JsonObject | None:
    """The tokens in this protocol's words. It has no word for unknown: that is 0."""
    if counts is None:
        return None
    taken, given = counts["input_tokens"] or 0, counts["output_tokens"] or 0
    return {
        "input_tokens": taken,
        "input_tokens_details": {"cached_tokens": counts["cached_input_tokens"] or 0},
        "output_tokens": given,
        "output_tokens_details": {"reasoning_tokens": counts["reasoning_tokens"] or 0},
        "total_tokens": taken + given,
    }


def unix_time(time: str) -> int:
    """A time of ours in whole seconds since 1970."""
    return int(datetime.fromisoformat(time).timestamp())
