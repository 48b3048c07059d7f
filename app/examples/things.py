"""One conversation, told as the service answers with it: the examples of answers, by the names of their schemas."""

from collections.abc import Mapping
from typing import Any

AGENT_ID = "01985a3e-7b1c-7a52-9f0e-3c1d5e8a9b01"
THREAD_ID = "01985a3e-7b1c-7a52-9f0e-3c1d5e8a9b02"
RUN_ID = "01985a3e-7b1c-7a52-9f0e-3c1d5e8a9b03"
MESSAGE_ID = "01985a3e-7b1c-7a52-9f0e-3c1d5e8a9b04"
USER_MESSAGE_ID = "01985a3e-7b1c-7a52-9f0e-3c1d5e8a9b05"
FILE_ID = "01985a3e-7b1c-7a52-9f0e-3c1d5e8a9b06"
_OTHER_ID = "01985a3e-7b1c-7a52-9f0e-3c1d5e8a9b07"
REQUEST_ID = "01985a3e-7b1c-7a52-9f0e-3c1d5e8a9b08"
TOOL_CALL_ID = "call_01985a3e7b1c7a529f0e3c1d5e8a9b09"
UI_MESSAGE_ID = "a-message-of-the-page"
_AT = "2026-01-31T12:00:00.000000Z"
_LATER = "2026-01-31T12:00:01.500000Z"
_SECONDS = 1769860800
_ANSWER = "6 times 7 is 42."
_USAGE = {
    "input_tokens": 310,
    "output_tokens": 12,
    "cached_input_tokens": 256,
    "reasoning_tokens": None,
}
_COST = {"currency": "USD", "amount": "0.00123"}
_CALL = {"tool_call_id": TOOL_CALL_ID, "name": "calculator", "arguments": {"expression": "6 * 7"}}
_TOOL_SCHEMA = {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]}

AGENT: Mapping[str, Any] = {
    "id": AGENT_ID,
    "name": "tutor",
    "description": None,
    "system_prompt": "You teach arithmetic.",
    "provider": None,
    "model": None,
    "settings": {"max_tokens": 1000},
    "tools": ["calculator"],
    "memory": {"strategy": "last_n", "n": 20},
    "guardrails": [],
    "fallbacks": [],
    "output_schema": None,
    "budget": None,
    "metadata": {},
    "version": 1,
    "created_at": _AT,
    "updated_at": _AT,
    "role": "owner",
}
THREAD: Mapping[str, Any] = {
    "id": THREAD_ID,
    "agent_id": AGENT_ID,
    "title": "Homework",
    "summary": None,
    "metadata": {"class": "4b"},
    "created_at": _AT,
    "updated_at": _AT,
    "last_activity_at": _LATER,
    "preview": _ANSWER,
    "message_count": 2,
    "running": False,
    "role": "owner",
    "agent_role": "owner",
}
MESSAGE: Mapping[str, Any] = {
    "id": MESSAGE_ID,
    "thread_id": THREAD_ID,
    "run_id": RUN_ID,
    "seq": 3,
    "role": "assistant",
    "content": _ANSWER,
    "parts": [{"type": "text", "text": _ANSWER}],
    "status": "completed",
    "user_id": None,
    "usage": _USAGE,
    "cost": _COST,
    "metadata": {},
    "created_at": _LATER,
}
RUN: Mapping[str, Any] = {
    "id": RUN_ID,
    "thread_id": THREAD_ID,
    "agent_id": AGENT_ID,
    "agent_version": 1,
    "user_id": "ada",
    "status": "completed",
    "attempt": 1,
    "usage": _USAGE,
    "cost": _COST,
    "stop_reason": "end",
    "notices": [],
    "error": None,
    "created_at": _AT,
    "started_at": _AT,
    "finished_at": _LATER,
}
_KEY = {
    "id": _OTHER_ID,
    "user_id": "ada",
    "name": "laptop",
    "prefix": "aia_9f3c",
    "admin": False,
    "created_at": _AT,
    "expires_at": "2099-12-31T00:00:00.000000Z",
}
_WEBHOOK = {
    "id": _OTHER_ID,
    "user_id": "ada",
    "agent_id": AGENT_ID,
    "url": "https://example.com/hook",
    "events": ["run.completed", "run.failed"],
    "created_at": _AT,
}
_LIMITS = {
    "requests_per_minute": 600,
    "streams": 50,
    "runs": 10,
    "files_bytes": 10_000_000_000,
    "threads": None,
    "thread_rows": 1_000_000,
    "agent_versions": 1000,
    "tokens_per_day": 1_000_000,
    "cost_per_day": 5,
}
_RESPONSE_ID, _CONVERSATION_ID = f"resp_{RUN_ID}", f"conv_{THREAD_ID}"
_ITEM = {
    "id": f"msg_{MESSAGE_ID}",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": _ANSWER, "annotations": [], "logprobs": []}],
}

ANSWERS: Mapping[str, Any] = {
    "AgentRead": AGENT,
    "AgentVersion": {name: value for name, value in AGENT.items() if name != "role"},
    "AgentSummary": {
        name: AGENT[name]
        for name in (
            "id",
            "name",
            "description",
            "provider",
            "model",
            "metadata",
            "version",
            "created_at",
            "updated_at",
            "role",
        )
    },
    "ThreadRead": THREAD,
    "MessageRead": MESSAGE,
    "RunRead": RUN,
    "RunDetails": RUN,
    "ContextRead": {
        "provider": "openai",
        "model": "gpt-5",
        "strategy": "last_n",
        "system": "You teach arithmetic.",
        "summary": None,
        "messages": [
            {"seq": 2, "role": "user", "parts": [{"type": "text", "text": "What is 6 times 7?"}], "tokens": 12},
            {"seq": 3, "role": "assistant", "parts": [{"type": "text", "text": _ANSWER}], "tokens": 11},
        ],
        "tools": [{"name": "calculator", "description": "Works out arithmetic.", "parameters": _TOOL_SCHEMA}],
        "tokens": {"total": 120, "method": "estimate", "budget": 380_000, "window": 400_000},
        "left_out": [{"seq": 1, "role": "user", "tokens": 9, "reason": "strategy"}],
        "notices": [],
        "last_call": {"input_tokens": 310, "cached_input_tokens": 256, "cached_share": 0.8258},
    },
    "FeedbackRead": {
        "message_id": MESSAGE_ID,
        "thread_id": THREAD_ID,
        "agent_id": AGENT_ID,
        "user_id": "ada",
        "rating": 1,
        "comment": "Well explained.",
        "created_at": _AT,
        "updated_at": _AT,
    },
    "SearchHit": {
        "message": MESSAGE,
        "thread": {"id": THREAD_ID, "title": "Homework"},
        "snippet": {"text": _ANSWER, "marks": [[2, 7]]},
    },
    "FileRead": {
        "id": FILE_ID,
        "filename": "notes.md",
        "media_type": "text/markdown",
        "size_bytes": 38,
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    },
    "ApprovalRead": {
        **_CALL,
        "thread": {"id": THREAD_ID, "title": "Homework"},
        "run_id": RUN_ID,
        "agent": {"id": AGENT_ID, "name": "tutor"},
        "requested_at": _AT,
        "expires_at": "2026-02-01T12:00:00.000000Z",
    },
    "TicketRead": {"ticket": "tkt_made-up", "expires_at": "2026-01-31T12:10:00.000000Z"},
    "RoleRead": {
        "id": _OTHER_ID,
        "user_id": "ada",
        "role": "viewer",
        "resource_type": "agent",
        "resource_id": AGENT_ID,
        "created_at": _AT,
    },
    "KeyRead": _KEY,
    "NewKey": {**_KEY, "key": "aia_made-up"},
    "NewToken": {
        "id": _OTHER_ID,
        "token": "ait_made-up",
        "user_id": "ada",
        "agents": [AGENT_ID],
        "created_at": _AT,
        "expires_at": "2026-01-31T12:10:00.000000Z",
    },
    "ProviderRead": {
        "name": "groq",
        "type": "openai",
        "configured": True,
        "default": False,
        "default_model": "qwen3",
        "reason": None,
        "base_url": "https://api.groq.com/openai/v1",
        "source": "database",
        "preset": "groq",
        "quirks": {},
        "learned": {},
        "version": 1,
        "created_at": _AT,
    },
    "ProviderCheck": {"ok": True, "status": 200, "latency_ms": 412, "model": "qwen3", "reason": None},
    "Model": {"id": "qwen3", "name": None, "context_window": 131_072},
    "ToolRead": {
        "name": "calculator",
        "type": "python",
        "description": "Works out arithmetic.",
        "parameters": _TOOL_SCHEMA,
        "retry_safe": True,
        "status": "on",
    },
    "CredentialsRead": {"tool": "order_status"},
    "Me": {
        "user_id": "ada",
        "admin": False,
        "limits": {
            "runs": {"limit": 10, "used": 1, "resets_at": None},
            "tokens_per_day": {"limit": 1_000_000, "used": 322, "resets_at": "2026-02-01T00:00:00.000000Z"},
        },
    },
    "UserSummary": {
        "id": "ada",
        "keys": 1,
        "agents": 1,
        "agent_versions": 1,
        "threads": 3,
        "files": 1,
        "files_bytes": 38,
        "runs": 0,
    },
    "UserLimits": {**_LIMITS, "own": ["runs", "tokens_per_day", "cost_per_day"]},
    "WebhookRead": _WEBHOOK,
    "NewWebhook": {**_WEBHOOK, "secret": "whsec_made-up"},
    "DeliveryRead": {
        "id": _OTHER_ID,
        "event": "run.completed",
        "status": "delivered",
        "attempts": 1,
        "last_status": 204,
        "created_at": _LATER,
    },
    "UsageRead": {
        "provider": "openai",
        "model": "gpt-5",
        "day": "2026-01-31",
        "calls": 1,
        "usage": _USAGE,
        "cached_share": 0.8258,
        "cost": _COST,
        "unpriced_calls": 0,
    },
    "JobRead": {
        "id": _OTHER_ID,
        "thread_id": THREAD_ID,
        "kind": "title",
        "range_key": "",
        "status": "completed",
        "attempts": 1,
        "error": None,
        "result": {},
        "created_at": _AT,
        "finished_at": _LATER,
    },
    "Health": {"status": "ok"},
    "AuditRead": {
        "id": _OTHER_ID,
        "created_at": _AT,
        "actor": {"id": "3f0c2d", "user_id": "admin"},
        "key_id": _OTHER_ID,
        "action": "key.delete",
        "operation": "delete_key",
        "outcome": "done",
        "resource_type": "key",
        "resource_id": _OTHER_ID,
        "subject": {"id": "8b1a90", "user_id": "ada"},
        "count": 1,
        "request_id": REQUEST_ID,
        "details": {"admin": False},
        "batch": 7,
    },
    "EventPage": {
        "data": [
            {
                "seq": 3,
                "type": "message.completed",
                "created_at": _LATER,
                "thread_id": THREAD_ID,
                "run_id": RUN_ID,
                "message": MESSAGE,
            }
        ],
        "next": "3-0",
    },
    "ConversationRead": {
        "id": _CONVERSATION_ID,
        "object": "conversation",
        "created_at": _SECONDS,
        "metadata": {"class": "4b"},
    },
    "DeletedConversation": {"id": _CONVERSATION_ID, "object": "conversation.deleted", "deleted": True},
    "DeletedResponse": {"id": _RESPONSE_ID, "object": "response", "deleted": True},
    "ResponseRead": {
        "id": _RESPONSE_ID,
        "object": "response",
        "created_at": _SECONDS,
        "completed_at": _SECONDS + 2,
        "status": "completed",
        "model": "tutor",
        "output": [_ITEM],
        "usage": {
            "input_tokens": 310,
            "input_tokens_details": {"cached_tokens": 256},
            "output_tokens": 12,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 322,
        },
        "error": None,
        "incomplete_details": None,
        "previous_response_id": None,
        "metadata": {},
    },
    "ItemPage": {
        "object": "list",
        "data": [_ITEM],
        "first_id": _ITEM["id"],
        "last_id": _ITEM["id"],
        "has_more": False,
    },
    "ChatRead": {
        "messages": [
            {"id": USER_MESSAGE_ID, "role": "user", "parts": [{"type": "text", "text": "What is 6 times 7?"}]},
            {"id": MESSAGE_ID, "role": "assistant", "parts": [{"type": "text", "text": _ANSWER}]},
        ]
    },
    "OpenAIModel": {
        "id": AGENT_ID,
        "object": "model",
        "created": _SECONDS,
        "owned_by": "ai-agents",
        "name": "tutor",
        "description": None,
    },
    "ChatCompletion": {
        "id": f"chatcmpl-{RUN_ID}",
        "object": "chat.completion",
        "created": _SECONDS,
        "model": "tutor",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": _ANSWER, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 310,
            "completion_tokens": 12,
            "total_tokens": 322,
            "prompt_tokens_details": {"cached_tokens": 256},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    },
}
# Of answers whose schema has no name, by operation.
OTHER_ANSWERS: Mapping[str, Any] = {
    "get_conversation_item": _ITEM,
    "call_mcp": {
        "jsonrpc": "2.0",
        "id": 1,
        "result": {
            "content": [{"type": "text", "text": _ANSWER}],
            "structuredContent": {"thread_id": THREAD_ID, "run_id": RUN_ID, "text": _ANSWER},
            "isError": False,
        },
    },
}
_DELTA = f'"type":"message.delta","thread_id":"{THREAD_ID}","run_id":"{RUN_ID}","message_id":"{MESSAGE_ID}"'
# What streams answer, as their bytes.
STREAM = (
    f'event: message.delta\nid: 2-2\ndata: {{{_DELTA},"text":"6 times 7","offset":0}}\n\n'
    f'event: message.delta\nid: 2-11\ndata: {{{_DELTA},"text":" is 42.","offset":9}}\n\n'
)
FEED = (
    f'event: thread.activity\ndata: {{"type":"thread.activity","thread_id":"{THREAD_ID}","thread":{{"id":"{THREAD_ID}",'
    f'"title":"Homework","last_activity_at":"{_LATER}","running":true,"waiting":false}}}}\n\n'
)
