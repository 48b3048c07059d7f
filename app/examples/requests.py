"""Examples of bodies, by the names of their schemas in openapi.yaml. Each can be sent, once its ids are real ones."""

from collections.abc import Mapping
from typing import Any

from app.examples.things import AGENT_ID, MESSAGE_ID, THREAD_ID, TOOL_CALL_ID, UI_MESSAGE_ID

_WEATHER: Mapping[str, Any] = {
    "name": "weather",
    "description": "Tells the weather of a place.",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
}
_UI_MESSAGE = {"id": UI_MESSAGE_ID, "role": "user", "parts": [{"type": "text", "text": "What is 6 times 7?"}]}

REQUESTS: Mapping[str, Any] = {
    "CreateAgent": {
        "name": "tutor",
        "system_prompt": "You teach arithmetic.",
        "tools": ["calculator"],
        "memory": {"strategy": "last_n", "n": 20},
        "settings": {"max_tokens": 1000},
    },
    "UpdateAgent": {"system_prompt": "You teach arithmetic, with patience.", "settings": {"max_tokens": 500}},
    "CreateThread": {"agent_id": AGENT_ID, "title": "Homework", "metadata": {"class": "4b"}},
    "UpdateThread": {"title": "Homework of Monday"},
    "ForkThread": {"message_id": MESSAGE_ID},
    "CreateMessage": {"content": "What is 6 times 7?", "on_busy": "queue"},
    "PutFeedback": {"rating": 1, "comment": "Well explained."},
    "RetryRun": {"stream": False},
    "Approval": {"tool_call_id": TOOL_CALL_ID, "approved": True, "reason": None},
    "ToolResults": {"results": [{"tool_call_id": TOOL_CALL_ID, "result": {"sky": "grey"}}]},
    "CreateTicket": {"thread_id": THREAD_ID},
    "CreateRole": {"user_id": "ada", "role": "viewer", "resource_type": "agent", "resource_id": AGENT_ID},
    "CreateKey": {"user_id": "ada", "name": "laptop", "expires_at": "2099-12-31T00:00:00Z"},
    "RotateKey": {"grace_s": 3600},
    "CreateToken": {"user_id": "ada", "expires_in_s": 600, "agents": [AGENT_ID]},
    "CreateProvider": {"name": "groq", "preset": "groq", "api_key": "sk-made-up", "default_model": "qwen3"},
    "UpdateProvider": {"default_model": "qwen3", "quirks": {"finish_reasons": {"eos": "stop"}}},
    "CreateTool": {
        "type": "http",
        "name": "order_status",
        "description": "Tells where an order is.",
        "parameters": {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]},
        "method": "GET",
        "url": "https://shop.example/v1/orders/{order}",
        "headers": {"authorization": "Bearer a-secret-of-that-service"},
    },
    "ApproveTools": {"tools": [{"name": "shop/order_status", "digest": "a" * 64}]},
    "PutCredentials": {"headers": {"authorization": "Bearer my-own-secret"}},
    "SetLimits": {"runs": 10, "tokens_per_day": 1_000_000, "cost_per_day": 5},
    "CreateWebhook": {
        "url": "https://example.com/hook",
        "events": ["run.completed", "run.failed"],
        "agent_id": AGENT_ID,
    },
    "UpdateHttpTool": {"description": "Looks up an order by its number. Use it for questions about deliveries."},
    "UpdateWebhook": {"events": ["run.failed"]},
    "CreateResponse": {"model": "tutor", "input": "What is 6 times 7?"},
    "CreateConversation": {"metadata": {"class": "4b"}},
    "UpdateConversation": {"metadata": {"class": "5b"}},
    "CreateItems": {"items": [{"type": "message", "role": "user", "content": "We have just had fractions."}]},
    "CreateChatCompletion": {"model": "tutor", "messages": [{"role": "user", "content": "What is 6 times 7?"}]},
    "RunAgentInput": {
        "threadId": THREAD_ID,
        "runId": "a-run-of-the-client",
        "messages": [{"id": UI_MESSAGE_ID, "role": "user", "content": "What is 6 times 7?"}],
        "tools": [_WEATHER],
        "context": [],
    },
    "NewChatBody": {"id": "a-chat-of-the-page", "agent_id": AGENT_ID, "messages": [_UI_MESSAGE]},
    "ChatBody": {"messages": [_UI_MESSAGE]},
}
# Of bodies whose schema has no name, by operation.
OTHER_REQUESTS: Mapping[str, Any] = {
    "call_mcp": {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "tutor", "arguments": {"message": "What is 6 times 7?"}},
    },
}
