"""The matrix in space: what each kind of user gets on every route, and the things that they ask for.

`ROWS` has one row for each operation of openapi.json. Its columns are `USERS`: what each gets where the request names
things of Alice's that exist. Without a key, or with one that has ended, every row but `OPEN` is 401. With a token of
Alice's that names agents every row is 403 that does not say otherwise.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import httpx

from ai_agents.core.types import ModelEvent, ModelRequest, TextPart
from ai_agents.store.webhooks import insert_delivery
from ai_agents.testing import ScriptedProvider, tool_call
from app.doors.responses.ids import ResponseId, conversation_id, text_item_id
from tests.api.declared import document
from tests.api.service import UNKNOWN_ID, Service, give_role, make_agent, make_thread

# By their roles on Alice's agent and thread. A guest is an editor of the thread without a role on its agent.
USERS = ("stranger", "user", "viewer", "editor", "guest", "owner", "admin")
ROLES: Mapping[str, tuple[str | None, str | None]] = {
    "stranger": (None, None),
    "user": ("user", None),
    "viewer": ("viewer", "viewer"),
    "editor": ("editor", "editor"),
    "guest": (None, "editor"),
}
# Fields that name things under another name than the path's parameters.
OTHER_NAMES = {
    "resource_id": "thread_id",
    "attachments": "file_id",
    "agents": "agent_id",
    "around": "message_id",
    "model": "agent_id",
    "previous_response_id": "response_id",
}
OPEN = {"GET /livez", "GET /readyz"}
Body = Callable[["Things"], Any]
SAID = {"id": "1", "role": "user", "parts": [{"type": "text", "text": "Hello"}]}
HOOK = {"url": "http://127.0.0.1:9/", "events": ["run.failed"]}


@dataclass(frozen=True)
class Row:
    """What an operation answers to each of `USERS`, and what it is sent."""

    statuses: str
    body: Body | None = None
    query: Callable[["Things"], dict[str, str]] | None = None
    files: Mapping[str, Any] | None = None
    # Whether a success changes what the other columns need.
    once: bool = False
    # What Alice gets with a token for the agent of the things, and with one for another agent of hers.
    scoped: str = "403 403"
    # Which of the things' ids the path names instead of those of the parameter's name.
    other_ids: Mapping[str, str] = field(default_factory=dict)


def _approval(things: "Things") -> dict[str, Any]:
    return {"tool_call_id": things.call_id, "approved": True}


def _results(things: "Things") -> dict[str, Any]:
    return {"results": [{"tool_call_id": things.client_call_id, "result": "12 °C"}]}


def _role(things: "Things") -> dict[str, Any]:
    return {"user_id": "eve", "role": "viewer", "resource_type": "thread", "resource_id": things.ids["thread_id"]}


def _webhook(things: "Things") -> dict[str, Any]:
    return HOOK | {"agent_id": things.ids["agent_id"]}


EVERY = "200 200 200 200 200 200 200"
MADE = "201 201 201 201 201 201 201"
ADMINS = "403 403 403 403 403 403 200"
HTTP_TOOL = {"type": "http", "name": "another", "description": "Counts.", "url": "http://127.0.0.1:9/orders"}

ROWS: dict[str, Row] = {
    "POST /agents": Row(MADE, lambda _: {"name": "mine"}),
    "GET /agents": Row(EVERY, scoped="200 200"),
    "GET /agents/{agent_id}": Row("404 200 200 200 404 200 200", scoped="200 404"),
    "PATCH /agents/{agent_id}": Row(
        "404 403 403 200 404 200 200", lambda _: {"description": "changed"}, scoped="403 404"
    ),
    "DELETE /agents/{agent_id}": Row("404 403 403 403 404 204 204", once=True, scoped="403 404"),
    "GET /agents/{agent_id}/versions": Row("404 403 200 200 404 200 200", scoped="403 404"),
    "POST /threads": Row("404 201 201 201 404 201 201", lambda it: {"agent_id": it.ids["agent_id"]}, scoped="201 404"),
    "GET /threads": Row(EVERY, scoped="200 200"),
    "GET /runs": Row(EVERY, scoped="200 200"),
    "GET /approvals": Row(EVERY, scoped="200 200"),
    "GET /search": Row(
        "404 404 200 200 404 200 200",
        query=lambda it: {"q": "read", "thread_id": it.ids["thread_id"], "agent_id": it.ids["agent_id"]},
        scoped="200 404",
    ),
    "GET /events": Row(EVERY, scoped="200 200"),
    "GET /threads/{thread_id}": Row("404 404 200 200 200 200 200", scoped="200 404"),
    "PATCH /threads/{thread_id}": Row("404 404 403 200 200 200 200", lambda _: {"title": "Changed"}, scoped="200 404"),
    "DELETE /threads/{thread_id}": Row("404 404 403 403 403 204 204", once=True, scoped="204 404"),
    "POST /threads/{thread_id}/fork": Row(
        "404 404 403 201 403 201 201", lambda it: {"message_id": it.ids["message_id"]}, scoped="201 404"
    ),
    "GET /threads/{thread_id}/context": Row("404 404 200 200 200 200 200", scoped="200 404"),
    "POST /threads/{thread_id}/messages": Row(
        "404 404 403 202 403 202 202", lambda _: {"content": "Hello", "on_busy": "queue"}, scoped="202 404"
    ),
    "GET /threads/{thread_id}/messages": Row("404 404 200 200 200 200 200", scoped="200 404"),
    "GET /threads/{thread_id}/messages/{message_id}": Row("404 404 200 200 200 200 200", scoped="200 404"),
    "PUT /threads/{thread_id}/messages/{message_id}/feedback": Row(
        "404 404 200 200 200 200 200",
        lambda _: {"rating": 1},
        other_ids={"message_id": "answer_id"},
        scoped="200 404",
    ),
    "GET /feedback": Row("404 403 403 403 404 200 200", query=lambda it: {"agent_id": it.ids["agent_id"]}),
    "POST /files": Row(MADE, files={"file": ("note.txt", b"A note.", "text/plain")}, scoped="201 201"),
    "GET /files/{file_id}": Row("404 404 200 200 200 200 200", scoped="200 404"),
    "DELETE /files/{file_id}": Row("404 404 403 403 403 204 204", once=True, scoped="403 404"),
    "GET /files/{file_id}/content": Row("404 404 200 200 200 200 200", scoped="200 404"),
    "GET /threads/{thread_id}/runs": Row("404 404 200 200 200 200 200", scoped="200 404"),
    "GET /threads/{thread_id}/runs/{run_id}": Row("404 404 200 200 200 200 200", scoped="200 404"),
    "GET /threads/{thread_id}/runs/{run_id}/events": Row("404 404 200 200 200 200 200", scoped="200 404"),
    "POST /threads/{thread_id}/runs/{run_id}/cancel": Row("404 404 403 200 200 200 200", scoped="200 404"),
    # A later run waits.
    "POST /threads/{thread_id}/runs/{run_id}/retry": Row("404 404 403 409 403 409 409", scoped="409 404"),
    "POST /threads/{thread_id}/runs/{run_id}/approvals": Row(
        "404 404 403 200 200 200 200", _approval, once=True, other_ids={"run_id": "waiting_run_id"}, scoped="200 404"
    ),
    "POST /threads/{thread_id}/runs/{run_id}/tool_results": Row(
        "404 404 403 200 403 200 200",
        _results,
        once=True,
        other_ids={"run_id": "waiting_run_id"},
        scoped="200 404",
    ),
    "GET /threads/{thread_id}/events": Row("404 404 200 200 200 200 200", scoped="200 404"),
    "POST /tickets": Row(
        "404 404 201 201 201 201 201", lambda it: {"thread_id": it.ids["thread_id"]}, scoped="201 404"
    ),
    "POST /roles": Row("404 404 403 403 403 201 201", _role),
    "GET /roles": Row(
        "404 404 403 403 403 200 200",
        query=lambda it: {"resource_type": "thread", "resource_id": it.ids["thread_id"]},
    ),
    "DELETE /roles/{role_id}": Row("404 404 403 403 403 204 204", once=True),
    "POST /keys": Row(MADE, lambda _: {"name": "another"}),
    "GET /keys": Row(EVERY),
    "DELETE /keys/{key_id}": Row("404 404 404 404 404 204 204", once=True),
    "POST /keys/{key_id}/rotate": Row("404 404 404 404 404 200 200", lambda _: {}),
    "POST /tokens": Row(MADE, lambda _: {}),
    "DELETE /tokens": Row("403 403 403 403 403 403 204", query=lambda _: {"user_id": "dave"}),
    "DELETE /tokens/{token_id}": Row("404 404 404 404 404 204 204", once=True, scoped="404 404"),
    "GET /me": Row(EVERY, scoped="200 200"),
    "GET /me/credentials": Row(EVERY),
    "PUT /me/credentials/{tool}": Row(
        "404 404 404 404 404 404 204", lambda _: {"headers": {"Authorization": "Bearer of-my-own"}}
    ),
    "DELETE /me/credentials/{tool}": Row("404 404 404 404 404 404 204"),
    "POST /webhooks": Row("404 403 403 403 404 201 201", _webhook),
    "GET /webhooks": Row(EVERY),
    "GET /webhooks/{webhook_id}": Row("404 404 404 404 404 200 200"),
    "PATCH /webhooks/{webhook_id}": Row("404 404 404 404 404 200 200", lambda _: {"events": ["run.failed"]}),
    "DELETE /webhooks/{webhook_id}": Row("404 404 404 404 404 204 204", once=True),
    "GET /webhooks/{webhook_id}/deliveries": Row("404 404 404 404 404 200 200"),
    "POST /webhooks/{webhook_id}/deliveries/{delivery_id}/retry": Row("404 404 404 404 404 200 200"),
    "GET /providers": Row(EVERY),
    "POST /providers": Row(
        "403 403 403 403 403 403 201",
        lambda _: {"name": "another", "type": "openai", "base_url": "http://127.0.0.1:9/v1"},
        once=True,
    ),
    "GET /providers/{name}": Row("404 404 404 404 404 404 200"),
    "PATCH /providers/{name}": Row("404 404 404 404 404 404 200", lambda _: {"default_model": "small"}),
    "DELETE /providers/{name}": Row("404 404 404 404 404 404 204", once=True),
    "POST /providers/{name}/check": Row("404 404 404 404 404 404 200", lambda _: {}),
    "GET /providers/{name}/models": Row("404 404 404 404 404 404 502"),
    "GET /tools": Row(EVERY),
    "POST /tools": Row("403 403 403 403 403 403 201", lambda _: HTTP_TOOL, once=True),
    "PATCH /tools/{name}": Row("403 403 403 403 403 403 200", lambda _: {"description": "Counts better."}),
    "POST /tools/{name}/approve": Row(
        "403 403 403 403 403 403 409", lambda _: {"tools": [{"name": "lookup", "digest": "0" * 64}]}
    ),
    "DELETE /tools/{name}": Row("403 403 403 403 403 403 204", once=True),
    "GET /usage": Row(EVERY),
    "GET /jobs": Row(ADMINS),
    "GET /jobs/{job_id}": Row("403 403 403 403 403 403 404"),
    "POST /jobs/{job_id}/retry": Row("403 403 403 403 403 403 404"),
    "DELETE /users/{user_id}": Row("403 403 403 403 403 403 202", once=True),
    "GET /users": Row(ADMINS),
    "GET /users/{user_id}/limits": Row(ADMINS),
    "PUT /users/{user_id}/limits": Row(ADMINS, lambda _: {"runs": 10}),
    "GET /audit": Row(ADMINS),
    "POST /mcp": Row(EVERY, lambda _: {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, scoped="200 200"),
    "POST /ai-sdk/threads": Row(
        "404 200 200 200 404 200 200",
        lambda it: {"id": "chat", "messages": [SAID], "agent_id": it.ids["agent_id"]},
        scoped="200 404",
    ),
    "POST /ai-sdk/threads/{thread_id}": Row(
        "422 422 403 409 403 409 409", lambda _: {"messages": [SAID]}, scoped="409 422"
    ),
    "GET /ai-sdk/threads/{thread_id}/stream": Row("204 204 200 200 200 200 200", scoped="200 204"),
    "GET /ai-sdk/threads/{thread_id}/messages": Row("404 404 200 200 200 200 200", scoped="200 404"),
    "POST /ai-sdk/threads/{thread_id}/stop": Row("204 204 403 204 204 204 204", once=True, scoped="204 204"),
    "POST /ag-ui/agents/{agent_id}": Row(
        "404 200 200 200 404 200 200",
        lambda _: {"threadId": "chat", "runId": "1", "messages": []},
        scoped="200 404",
    ),
    "POST /v1/chat/completions": Row(
        "404 200 200 200 404 200 200",
        lambda it: {"model": it.ids["agent_id"], "messages": [{"role": "user", "content": "Hello"}]},
        scoped="200 404",
    ),
    "GET /v1/models": Row(EVERY, scoped="200 200"),
    "GET /v1/models/{model}": Row("404 200 200 200 404 200 200", scoped="200 404"),
    "POST /v1/responses": Row(
        "404 404 403 200 403 200 200",
        lambda it: {"input": "Hello", "background": True, "previous_response_id": it.ids["response_id"]},
        scoped="200 404",
    ),
    "GET /v1/responses/{response_id}": Row("404 404 200 200 200 200 200", scoped="200 404"),
    "GET /v1/responses/{response_id}/input_items": Row("404 404 200 200 200 200 200", scoped="200 404"),
    "DELETE /v1/responses/{response_id}": Row("404 404 403 200 200 200 200", once=True, scoped="200 404"),
    "POST /v1/responses/{response_id}/cancel": Row("404 404 403 200 200 200 200", scoped="200 404"),
    "POST /v1/conversations": Row(EVERY, lambda _: {}, scoped="200 200"),
    "GET /v1/conversations/{conversation_id}": Row("404 404 200 200 200 200 200", scoped="200 404"),
    "POST /v1/conversations/{conversation_id}": Row(
        "404 404 403 200 200 200 200", lambda _: {"metadata": {"a": "b"}}, scoped="200 404"
    ),
    "DELETE /v1/conversations/{conversation_id}": Row("404 404 403 403 403 200 200", once=True, scoped="200 404"),
    "GET /v1/conversations/{conversation_id}/items": Row("404 404 200 200 200 200 200", scoped="200 404"),
    "POST /v1/conversations/{conversation_id}/items": Row(
        "404 404 403 409 403 409 409", lambda _: {"items": [{"role": "user", "content": "Hi"}]}, scoped="409 404"
    ),
    "GET /v1/conversations/{conversation_id}/items/{item_id}": Row("404 404 200 200 200 200 200", scoped="200 404"),
    "GET /livez": Row(EVERY, scoped="200 200"),
    "GET /readyz": Row(EVERY, scoped="200 200"),
    "GET /metrics": Row(ADMINS),
}


class Calculating(ScriptedProvider):
    """Calls the calculator where it is asked what something is, in however many threads at once.

    With it, it calls the tool of a client that brought one.
    """

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """The call, or a greeting."""
        asked = any(isinstance(part, TextPart) and part.text.endswith("?") for part in request.messages[-1].parts)
        outside = [tool_call("look_outside") for tool in request.tools if tool.name == "look_outside"]
        self.answers = [[tool_call("calculator", expression="6*7"), *outside] if asked else "Hello."]
        async for event in super().stream(request):
            yield event


def operations() -> list[str]:
    """Every operation of the document, such as `GET /agents`."""
    return [
        f"{method.upper()} {path}"
        for path, methods in document()["paths"].items()
        for method in methods
        if method in {"get", "post", "put", "patch", "delete"}
    ]


@dataclass
class Things:
    """What Alice and the admin have, whose ids requests name."""

    ids: dict[str, str]
    call_id: str
    client_call_id: str

    def id_of(self, name: str) -> str:
        """The id that a parameter or field of this name takes."""
        return self.ids[OTHER_NAMES.get(name, name)]

    def fill(self, path: str, others: Mapping[str, str] = MappingProxyType({})) -> str:
        """The path with these ids; `others` are named first."""
        return re.sub(r"{(\w+)}", lambda match: {**others}.get(match[1]) or self.id_of(match[1]), path)


async def make_things(service: Service, owner: httpx.AsyncClient, *, shared: bool = True) -> Things:
    """An agent, and a thread with a file and a run that waits for an approval; with roles for `ROLES` if `shared`."""
    tools = [{"name": "calculator", "approval": "always"}]
    agent = await make_agent(owner, provider="scripted", tools=tools)
    thread = await make_thread(owner, agent["id"])
    uploaded = await owner.post("/files", files={"file": ("secret.txt", b"Of Alice.", "text/plain")})
    path = f"/threads/{thread['id']}/messages"
    finished = (await owner.post(path, json={"content": "Read.", "attachments": [uploaded.json()["id"]]})).json()
    asked = {"content": "Six times seven?", "tools": [{"name": "look_outside"}]}
    waiting = (await owner.post(path, json=asked)).json()
    assert waiting["status"] == "waiting", waiting
    history = (await owner.get(path)).json()["data"]
    calls = [part["tool_call_id"] for each in history for part in each["parts"] if part["type"] == "tool_call"]
    call_id, client_call_id = calls
    for name, (on_agent, on_thread) in ROLES.items() if shared else ():
        if on_agent:
            await give_role(owner, name, on_agent, "agent", agent["id"])
        if on_thread:
            await give_role(owner, name, on_thread, "thread", thread["id"])
    await give_role(owner, "carol", "viewer", "thread", thread["id"])
    roles = (await owner.get("/roles", params={"resource_type": "thread", "resource_id": thread["id"]})).json()["data"]
    key = (await owner.post("/keys", json={"name": "another"})).json()
    token = (await owner.post("/tokens", json={})).json()
    hook = (await owner.post("/webhooks", json=HOOK | {"agent_id": agent["id"]})).json()
    delivery_id = await service.container.conn.database.write(
        lambda c: insert_delivery(c, hook["id"], "run.failed", thread["id"], None)
    )
    return Things(
        {
            "agent_id": agent["id"],
            "thread_id": thread["id"],
            "message_id": history[0]["id"],
            "answer_id": finished["id"],
            "run_id": finished["run_id"],
            "response_id": str(ResponseId(finished["run_id"])),
            "conversation_id": conversation_id(thread["id"]),
            "item_id": text_item_id(finished["id"], 0),
            "waiting_run_id": waiting["id"],
            "file_id": uploaded.json()["id"],
            "role_id": next(each["id"] for each in roles if each["user_id"] == "carol"),
            "key_id": key["id"],
            "token_id": token["id"],
            "webhook_id": hook["id"],
            "delivery_id": delivery_id,
            "name": "closed",
            "tool": "closed",
            "job_id": UNKNOWN_ID,
            "user_id": "dave",
        },
        call_id,
        client_call_id,
    )
