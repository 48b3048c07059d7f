"""Builds requests of Ollama's chat API: https://docs.ollama.com/api/chat, read 2026-11-22."""

from ai_agents.core.types import FilePart, JsonObject, ModelMessage, ModelRequest, ModelSettings, ReasoningPart
from ai_agents.providers.files import encoded, is_image
from ai_agents.providers.lines import encode_body
from ai_agents.providers.ollama_models import NAME
from ai_agents.providers.rendering import (
    EMPTY_TEXT,
    ToolNames,
    result_text,
    tool_calls_of,
    tool_results_of,
    turn_start,
    visible_texts,
)
from ai_agents.providers.schemas import schema_instruction

# Ollama's default context is small, and Ollama cuts what does not fit without an error; so each request names a size.
# The size grows by doubling, since Ollama loads the model again for each new size. It ends where common hardware does.
_MIN_CONTEXT = 8192
_MAX_CONTEXT = 32768
_BYTES_PER_TOKEN = 3
_ANSWER_TOKENS = 2048
# Hardly any model that sees makes more than 2,000 tokens of a picture.
_BYTES_PER_PICTURE = 2_000 * _BYTES_PER_TOKEN


def to_wire(request: ModelRequest, *, num_ctx: int | None = None) -> JsonObject:
    """The request. What is stable from turn to turn comes first; the messages only grow.

    `num_ctx` is the size of the context in tokens; None chooses one by the length of the request.
    """
    names = ToolNames(request.tools)
    messages = _messages_to_wire(request, names)
    payload: JsonObject = {
        "model": request.model,
        "stream": True,
        # A request that is too long is to fail, rather than to lose its beginning in silence.
        "truncate": False,
        "shift": False,
    }
    if request.tools:
        payload["tools"] = _tools_to_wire(request, names)
    elif request.output_schema is not None:
        # The format binds every answer. Beside it no tool could be called.
        payload["format"] = request.output_schema
    if request.settings.reasoning is not None:
        payload["think"] = _reasoning_to_wire(request)
    size = num_ctx or _context_size(payload, messages, request.settings)
    payload["options"] = _settings_to_wire(request.settings, size)
    return payload | {"messages": messages}


def _settings_to_wire(settings: ModelSettings, num_ctx: int) -> JsonObject:
    asked: JsonObject = {
        "num_ctx": num_ctx,
        "num_predict": settings.max_tokens,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "stop": list(settings.stop) or None,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _reasoning_to_wire(request: ModelRequest) -> str | bool:
    """gpt-oss takes an effort; other models can be switched on and off."""
    reasoning = request.settings.reasoning
    if reasoning is None or reasoning == "none":
        return False
    return reasoning if "gpt-oss" in request.model else True


def _tools_to_wire(request: ModelRequest, names: ToolNames) -> list[JsonObject]:
    return [
        {
            "type": "function",
            "function": {
                "name": names.to_wire(tool.name),
                "description": tool.description,
                "parameters": tool.parameters,
            },
        }
        for tool in request.tools
    ]


def _context_size(payload: JsonObject, messages: list[JsonObject], settings: ModelSettings) -> int:
    """The size in tokens that holds the request, estimated from its bytes, and the answer."""
    texts = [{name: value for name, value in message.items() if name != "images"} for message in messages]
    pictures = sum(len(message.get("images", ())) for message in messages)
    size_bytes = len(encode_body(payload | {"messages": texts})) + pictures * _BYTES_PER_PICTURE
    needed = size_bytes // _BYTES_PER_TOKEN + (settings.max_tokens or _ANSWER_TOKENS)
    size = _MIN_CONTEXT
    while size < needed and size < _MAX_CONTEXT:
        size *= 2
    return size


def _messages_to_wire(request: ModelRequest, names: ToolNames) -> list[JsonObject]:
    messages: list[JsonObject] = []
    system = request.system
    if request.output_schema is not None:
        # Needed beside `format` too: the model does not see the format.
        system = schema_instruction(system, request.output_schema)
    if system and system.strip():
        messages.append({"role": "system", "content": system})
    current_turn = turn_start(request.messages)
    for index, message in enumerate(request.messages):
        messages += _message_to_wire(message, names, model=request.model if index >= current_turn else None)
    return messages


def _message_to_wire(message: ModelMessage, names: ToolNames, *, model: str | None) -> list[JsonObject]:
    """The messages that stand for one message. `model` is given in the current turn: its own thinking goes back."""
    if message.role == "tool":
        return [
            {"role": "tool", "tool_name": names.to_wire(part.name), "content": result_text(part)}
            for part in tool_results_of(message)
        ]
    text = "\n\n".join(visible_texts(message.parts))
    if message.role == "user":
        images = [encoded(part) for part in message.parts if isinstance(part, FilePart) and is_image(part)]
        return [{"role": "user", "content": text or EMPTY_TEXT} | ({"images": images} if images else {})]
    rendered: JsonObject = {"role": "assistant", "content": text}
    own = reasoning_origin(model)
    thinking = "".join(part.text for part in message.parts if isinstance(part, ReasoningPart) and part.origin == own)
    if thinking:
        rendered["thinking"] = thinking
    calls = tool_calls_of(message)
    if calls:
        rendered["tool_calls"] = [
            {"function": {"name": names.to_wire(call.name), "arguments": call.arguments}} for call in calls
        ]
    return [rendered] if text or calls else []


def reasoning_origin(model: str | None) -> JsonObject:
    """The `origin` of the reasoning parts that this model makes."""
    return {"provider": NAME, "model": model}
