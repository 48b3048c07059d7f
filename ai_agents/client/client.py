"""The asynchronous client. Its methods are named after the operations of openapi.yaml, where they are one of them."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, TypedDict, Unpack, cast
from urllib.parse import quote
from uuid import uuid4

from ai_agents.client.answers import Answer
from ai_agents.client.errors import RunWaiting, ServiceProblem
from ai_agents.client.transport import SILENCE_OF_RUN_S, Source, Transport
from ai_agents.core.approval_rows import WaitingApproval
from ai_agents.core.context_rows import ContextView
from ai_agents.core.events import TERMINAL_EVENTS, Event
from ai_agents.core.json import dumps
from ai_agents.core.key_rows import NewToken, Ticket
from ai_agents.core.limits import LimitName, LimitUse
from ai_agents.core.rows import (
    Agent,
    AgentChanges,
    Feedback,
    File,
    Message,
    Rating,
    Run,
    RunDetails,
    RunOverrides,
    SeenAgent,
    SeenAgentSummary,
    SeenMessage,
    SeenThread,
    ThreadChanges,
    UsageSum,
)
from ai_agents.core.search_rows import SearchHit
from ai_agents.core.types import JsonObject, RunStatus, ThreadOrder

Content = str | Sequence[Mapping[str, Any]]
GroupBy = Literal["agent", "model", "user", "day"]
# The most that the service gives at once.
_PAGE = 100
PATIENCE_S = 60.0


class Me(TypedDict):
    """Whose key it is, with the limits of the user and what is used of them."""

    user_id: str
    admin: bool
    limits: dict[LimitName, LimitUse]


class MessageOptions(TypedDict, total=False):
    """What a message can have besides its content.

    `attachments` are ids of files, `tools` definitions of tools of the client (`name`, `description`, `parameters`).
    `idempotency_key` is made for each message, unless it is given to send the same message again.
    """

    attachments: Sequence[str]
    metadata: JsonObject
    on_busy: Literal["reject", "queue", "interrupt", "steer"]
    overrides: RunOverrides
    tools: Sequence[JsonObject]
    idempotency_key: str


class Client:
    """The service at `url`, for the user whose API key, token or JWT this is. A context manager; or call `close`.

    A request that fails for a moment (broken connections, restarts, 429 and 503 with `Retry-After`) is sent again for
    up to `patience_s` seconds, and never does anything twice. Every method raises `ServiceProblem` for what the service
    refuses and `ServiceUnreachable` where it does not answer. Lists and streams are asynchronous generators.
    """

    def __init__(self, url: str, key: str, *, patience_s: float = PATIENCE_S) -> None:
        self._transport = Transport(url, key, patience_s=patience_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. What runs in the service goes on."""
        await self._transport.close()

    async def request(
        self, method: str, path: str, body: Any = None, *, params: Mapping[str, Any] | None = None
    ) -> Any:
        """The JSON of any other operation, None where it answers with nothing. `params` are those of the query.

        A POST is sent once, since this does not know what a repetition would do.
        """
        content = {} if body is None else {"json": body}
        response = await self._transport.request(method, path, params=_query(params or {}), **content)
        return response.json() if response.content else None

    # Agents

    async def create_agent(self, **fields: Unpack[AgentChanges]) -> SeenAgent:
        """A new agent. Only `name` is required."""
        return cast("SeenAgent", await self._post("/agents", fields))

    async def get_agent(self, agent_id: str) -> SeenAgent:
        """An agent. Users who may only talk to it get its `id`, `name`, `description` and `role`."""
        return cast("SeenAgent", await self._get(_path("agents", agent_id)))

    def list_agents(self, *, shared: bool = False) -> AsyncGenerator[SeenAgentSummary]:
        """The agents that the user sees, newest first. `shared`: also what any user gave to all."""
        return self._list("/agents", shared=shared)

    async def update_agent(
        self, agent_id: str, *, if_version: int | None = None, **fields: Unpack[AgentChanges]
    ) -> SeenAgent:
        """Replace these fields. With `if_version` it is the problem `precondition_failed` if it has another by now."""
        return cast("SeenAgent", await self._patch(_path("agents", agent_id), fields, if_version=if_version))

    async def delete_agent(self, agent_id: str) -> None:
        """Delete an agent. Its threads stay readable."""
        await self._transport.request("DELETE", _path("agents", agent_id))

    def list_agent_versions(self, agent_id: str) -> AsyncGenerator[Agent]:
        """The versions of an agent, newest first."""
        return self._list(_path("agents", agent_id, "versions"))

    # Threads

    async def create_thread(
        self,
        agent_id: str,
        *,
        title: str | None = None,
        metadata: JsonObject | None = None,
        messages: Sequence[Mapping[str, Any]] = (),
    ) -> SeenThread:
        """A new conversation. `messages` (`role`, `content`) are a history that it begins with."""
        body = {"agent_id": agent_id, "title": title, "metadata": metadata or {}, "messages": list(messages)}
        return cast("SeenThread", await self._post("/threads", body))

    async def get_thread(self, thread_id: str) -> SeenThread:
        """A thread."""
        return cast("SeenThread", await self._get(_path("threads", thread_id)))

    def list_threads(
        self,
        *,
        agent_id: str | None = None,
        user_id: str | None = None,
        q: str | None = None,
        metadata: Mapping[str, str | float | bool] | None = None,
        order: ThreadOrder = "created",
        shared: bool = False,
    ) -> AsyncGenerator[SeenThread]:
        """Threads that the user sees, newest first, or with the order `activity` by what happened in them last.

        `q` is a text in their titles, `metadata` up to three exact values, `user_id` is for admins.
        """
        exact = {
            f"metadata.{name}": value if isinstance(value, str) else dumps(value)
            for name, value in (metadata or {}).items()
        }
        return self._list("/threads", agent_id=agent_id, user_id=user_id, q=q, order=order, shared=shared, **exact)

    async def update_thread(self, thread_id: str, **fields: Unpack[ThreadChanges]) -> SeenThread:
        """Replace these fields of a thread."""
        return cast("SeenThread", await self._patch(_path("threads", thread_id), fields))

    async def delete_thread(self, thread_id: str) -> None:
        """Delete a thread and everything in it."""
        await self._transport.request("DELETE", _path("threads", thread_id))

    async def fork_thread(self, thread_id: str, message_id: str) -> SeenThread:
        """A new thread with the history up to this message."""
        return cast("SeenThread", await self._post(_path("threads", thread_id, "fork"), {"message_id": message_id}))

    async def get_context(
        self, thread_id: str, *, provider: str | None = None, model: str | None = None, strategy: str | None = None
    ) -> ContextView:
        """What the model would get now, or what another model would, or by another strategy of memory."""
        params = {"provider": provider, "model": model, "strategy": strategy}
        return cast("ContextView", await self._get(_path("threads", thread_id, "context"), **params))

    # Messages

    async def send(self, thread_id: str, content: Content, **options: Unpack[MessageOptions]) -> Message:
        """Send a message and return the last message of its run, which is `incomplete` if the run was cancelled.

        Raises `RunWaiting` where the run waits: decide, or give results, and `wait` for it.
        """
        answer = Answer()
        async with aclosing(self.stream(thread_id, content, **options)) as events:
            async for event in events:
                answer.add(event)
                if event.type == "run.waiting":
                    raise RunWaiting(event)
        return answer.message()

    def stream(
        self, thread_id: str, content: Content, **options: Unpack[MessageOptions]
    ) -> AsyncGenerator[Event, None]:
        """Send a message and yield the events of its run, each once, until it has ended.

        `str(event)` is the text of a `message.delta`. After a `run.failed` its `ServiceProblem` is raised. The run goes
        on if the iteration is left. The message is sent with the first event that is asked for.
        """
        body = _message(content, options) | {"stream": True}
        key = options.get("idempotency_key") or str(uuid4())
        return self._run_events(Source("POST", _path("threads", thread_id, "messages"), body=body, key=key))

    async def start(self, thread_id: str, content: Content, **options: Unpack[MessageOptions]) -> Run:
        """Send a message and return its run at once. `wait`, `stream_run` and `get_run` tell what becomes of it."""
        key = options.get("idempotency_key")
        return await self._start(_path("threads", thread_id, "messages"), _message(content, options), key)

    async def steer(self, thread_id: str, content: Content, **options: Unpack[MessageOptions]) -> Run:
        """Let a message join the run that is under way, and return that run; a new one where there is none."""
        return await self.start(thread_id, content, **(options | {"on_busy": "steer"}))

    def list_messages(
        self, thread_id: str, *, order: Literal["asc", "desc"] = "asc", around: str | None = None
    ) -> AsyncGenerator[SeenMessage]:
        """The history with its tool steps, oldest first; `around` begins half a page before this message."""
        return self._list(_path("threads", thread_id, "messages"), order=order, around=around)

    async def get_message(self, thread_id: str, message_id: str) -> SeenMessage:
        """A message."""
        return cast("SeenMessage", await self._get(_path("threads", thread_id, "messages", message_id)))

    async def put_feedback(
        self, thread_id: str, message_id: str, *, rating: Rating | None = None, comment: str | None = None
    ) -> Feedback:
        """Say what the user thinks of an answer, in place of what was said before; without both it is taken back."""
        path = _path("threads", thread_id, "messages", message_id, "feedback")
        response = await self._transport.request("PUT", path, json={"rating": rating, "comment": comment})
        return cast("Feedback", response.json())

    def search_messages(
        self, q: str, *, agent_id: str | None = None, thread_id: str | None = None, shared: bool = False
    ) -> AsyncGenerator[SearchHit]:
        """Messages that have all words of `q`, best first. It knows `"phrases"` and `-words` that must not be there."""
        return self._list("/search", q=q, agent_id=agent_id, thread_id=thread_id, shared=shared)

    # Runs

    async def get_run(self, thread_id: str, run_id: str) -> RunDetails:
        """A run."""
        return cast("RunDetails", await self._get(_path("threads", thread_id, "runs", run_id)))

    def list_runs(
        self,
        thread_id: str | None = None,
        *,
        status: RunStatus | None = None,
        agent_id: str | None = None,
        shared: bool = False,
    ) -> AsyncGenerator[RunDetails]:
        """Runs, newest first: of a thread, or of all threads that the user sees, which `status` and the rest narrow."""
        if thread_id is not None:
            return self._list(_path("threads", thread_id, "runs"))
        return self._list("/runs", status=status, agent_id=agent_id, shared=shared)

    def stream_run(self, thread_id: str, run_id: str, *, after: str | None = None) -> AsyncGenerator[Event, None]:
        """The events of a run until it has ended, as `stream`: from its first, or after the event with this id."""
        return self._run_events(Source("GET", _path("threads", thread_id, "runs", run_id, "events"), last_id=after))

    async def wait(self, thread_id: str, run_id: str) -> Message:
        """The last message of a run, once it has ended, however long it waits for people. Raises as `send` does."""
        answer = Answer()
        async for event in self.stream_run(thread_id, run_id):
            answer.add(event)
        return answer.message()

    async def cancel_run(self, thread_id: str, run_id: str) -> Run:
        """Cancel a run; one that has ended stays as it is."""
        path = _path("threads", thread_id, "runs", run_id, "cancel")
        return cast("Run", await self._post(path, None))

    async def retry_run(self, thread_id: str, run_id: str) -> Run:
        """Answer the message of the thread's last run anew, in a new run, which is returned at once."""
        return await self._start(_path("threads", thread_id, "runs", run_id, "retry"), None, None)

    async def decide_tool_call(
        self, thread_id: str, run_id: str, tool_call_id: str, *, approved: bool, reason: str | None = None
    ) -> Run:
        """Approve or refuse a call that waits. It is sent once, as a repeated decision would be a `conflict`."""
        body = {"tool_call_id": tool_call_id, "approved": approved, "reason": reason}
        return cast("Run", await self.request("POST", _path("threads", thread_id, "runs", run_id, "approvals"), body))

    async def give_tool_results(self, thread_id: str, run_id: str, results: Iterable[Mapping[str, Any]]) -> Run:
        """Results of tools of the client: `tool_call_id`, `result`, and `is_error` where it is one. Sent once."""
        path = _path("threads", thread_id, "runs", run_id, "tool_results")
        return cast("Run", await self.request("POST", path, {"results": list(results)}))

    def list_approvals(self, *, shared: bool = False) -> AsyncGenerator[WaitingApproval]:
        """The tool calls that wait for a decision of the user's, over all threads, newest first."""
        return self._list("/approvals", shared=shared)

    # Events

    async def stream_thread_events(self, thread_id: str, *, after: str | None = None) -> AsyncGenerator[Event, None]:
        """Everything that happens in a thread from now on, or after the event with this id (`0-0`: from its beginning).

        It ends when the thread is deleted. Raises `ServiceProblem` with the code `log_trimmed` where what would come is
        kept no longer: read the messages, and go on after `problem["last_event_id"]`.
        """
        path = _path("threads", thread_id, "events")
        if after is None:  # so that nothing is missed if the connection breaks before the first event
            newest = await self._get(path, order="desc", limit=1)
            after = f"{newest['data'][0]['seq']}-0" if newest["data"] else "0-0"
        source = Source("GET", path, last_id=after, ends=frozenset({"thread.deleted"}))
        async with aclosing(self._transport.events(source)) as events:
            async for event in events:
                if event is not None:
                    yield event

    def list_thread_events(
        self, thread_id: str, *, order: Literal["asc", "desc"] = "asc", after: str | None = None
    ) -> AsyncGenerator[JsonObject]:
        """The log of a thread: each event's data with its `seq` and `created_at`; `after` the event with this id.

        Where the service keeps events for a time only, it ends with the problem `log_trimmed` at what is gone.
        """
        return self._list(_path("threads", thread_id, "events"), order=order, after=after)

    def follow_threads(self, *, shared: bool = False) -> AsyncGenerator[Event | None, None]:
        """Hints on all threads that the user sees: `thread.activity` and `thread.deleted`, without end.

        Hints that come while the connection is broken are lost: None stands for each new connection, the first one too.
        List the threads then.
        """
        return self._transport.events(Source("GET", "/events", params=_query({"shared": shared})))

    # Files, and the rest

    async def create_file(self, content: bytes | Path, filename: str = "") -> File:
        """Upload a file; its type is found from its content. A path is read, and gives its name."""
        if isinstance(content, Path):
            filename = filename or content.name
            content = await asyncio.to_thread(content.read_bytes)
        files = {"file": (filename, content)}
        response = await self._transport.request("POST", "/files", repeatable=True, files=files)
        return cast("File", response.json())

    async def get_file(self, file_id: str) -> File:
        """What is known of a file."""
        return cast("File", await self._get(_path("files", file_id)))

    async def get_file_content(self, file_id: str) -> bytes:
        """The bytes of a file."""
        return (await self._transport.request("GET", _path("files", file_id, "content"))).content

    async def delete_file(self, file_id: str) -> None:
        """Delete a file of the user's."""
        await self._transport.request("DELETE", _path("files", file_id))

    async def get_me(self) -> Me:
        """Whose key it is, and the limits of the user."""
        return cast("Me", await self._get("/me"))

    def get_usage(
        self, *, start: str | None = None, end: str | None = None, group_by: Sequence[GroupBy] = ()
    ) -> AsyncGenerator[UsageSum]:
        """What model calls used from `start` until before `end`: days, or times with a zone. Else of 30 days."""
        return self._list("/usage", **{"from": start, "to": end, "group_by": ",".join(group_by) or None})

    async def create_token(
        self, *, user_id: str | None = None, expires_in_s: int = 3600, agents: Sequence[str] | None = None
    ) -> NewToken:
        """A token for a browser or a phone: of the user, or by an admin of any user, for these agents or for all."""
        body = {"user_id": user_id, "expires_in_s": expires_in_s, "agents": agents}
        return cast(
            "NewToken", await self._post("/tokens", {n: value for n, value in body.items() if value is not None})
        )

    async def create_ticket(self, thread_id: str | None = None) -> Ticket:
        """A ticket for an EventSource, which reads the streams of this thread, or else `GET /events`."""
        return cast("Ticket", await self._post("/tickets", {"thread_id": thread_id} if thread_id else {}))

    # How they are made

    async def _get(self, path: str, **params: Any) -> Any:
        return (await self._transport.request("GET", path, params=_query(params))).json()

    async def _post(self, path: str, body: Any) -> Any:
        content = {} if body is None else {"json": body}
        return (await self._transport.request("POST", path, repeatable=True, **content)).json()

    async def _patch(self, path: str, fields: Any, *, if_version: int | None = None) -> Any:
        # Sent again it would fail, as its own change would have made another version.
        headers = {} if if_version is None else {"if-match": f'"{if_version}"'}
        response = await self._transport.request(
            "PATCH", path, repeatable=if_version is None, headers=headers, json=fields
        )
        return response.json()

    async def _list(self, path: str, *, after: str | None = None, **params: Any) -> AsyncGenerator[Any]:
        cursor = after
        while True:
            page = await self._get(path, limit=_PAGE, after=cursor, **params)
            for item in page["data"]:
                yield item
            cursor = page["next"]
            if cursor is None:
                return
            params.pop("around", None)  # the cursor has taken its place

    async def _start(self, path: str, body: Any, key: str | None) -> Run:
        headers = {"prefer": "respond-async"} | ({"idempotency-key": key} if key else {})
        content = {} if body is None else {"json": body}
        return cast(
            "Run", (await self._transport.request("POST", path, repeatable=True, headers=headers, **content)).json()
        )

    async def _run_events(self, source: Source) -> AsyncGenerator[Event, None]:
        source = replace(source, silence_s=SILENCE_OF_RUN_S, ends=TERMINAL_EVENTS)
        async with aclosing(self._transport.events(source)) as events:
            async for event in events:
                if event is None:
                    continue
                yield event
                if event.type == "run.failed":
                    raise ServiceProblem(event.data["problem"])


def _path(*parts: str) -> str:
    return "/" + "/".join(quote(part, safe="") for part in parts)


def _query(params: Mapping[str, Any]) -> dict[str, str]:
    """The parameters that say something, as text."""
    texts = {name: "true" if value is True else value for name, value in params.items()}
    return {name: str(value) for name, value in texts.items() if value is not None and value is not False}


def _message(content: Content, options: MessageOptions) -> JsonObject:
    given = {name: value for name, value in options.items() if name != "idempotency_key"}
    return {"content": content if isinstance(content, str) else list(content)} | given
