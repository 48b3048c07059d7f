"""One request of an MCP client, and what it leads to here: lists, runs, decisions. It knows nothing of the SDK.

A request stands for itself, so that any replica answers it: the person's answer to a question names the waiting call,
and a cancellation finds its run by the request's id. Between a question and its answer nothing waits but the run.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Connection

from ai_agents.core.exceptions import (
    AgentNotFound,
    AIAgentsError,
    Conflict,
    IdempotencyKeyReused,
    Overloaded,
    RequestError,
    ThreadNotFound,
)
from ai_agents.core.types import FilePart, JsonObject, TextPart, ToolCallPart
from ai_agents.runner.outcomes import Started
from ai_agents.store import idempotency, runs, tool_calls
from ai_agents.streams.reader import StreamReader
from app.authentication import StreamRight
from app.container import Container
from app.doors import messages
from app.doors.mcp import translator
from app.doors.mcp.translator import RunFold, WaitingCall
from app.doors.threads import require_agent
from app.errors import InvalidFields
from app.event_streams import OpenStreams
from app.problems import validation_errors
from app.schemas.common import to_parts
from app.schemas.threads import Approval, CreateMessage, CreateThread
from app.services import threads
from app.services.identity import Principal, check_id, see_thread, whose
from app.services.repeats import SentKey
from app.services.runs import cancel_run, decide_tool_call
from app.services.threads import JudgedThread

_PAGE = 100
_REFUSED = "not approved"
# Progress is for people, who read no faster; the protocol asks for a limit.
_REPORT_EVERY_S = 0.1


class CallArguments(BaseModel):
    """The arguments of an agent's tool."""

    model_config = ConfigDict(extra="forbid", strict=True)

    message: str = Field(min_length=1)
    thread_id: str | None = None


class UnknownTool(Exception):
    """The caller has no agent that is this tool."""


@dataclass(frozen=True, slots=True)
class Questions:
    """Calls that wait for a person, by the ids under which the answers are found, with what to ask."""

    thread_id: str
    run_id: str
    asked: Mapping[str, JsonObject]


# Gets how much was told so far, and what is new. Tells whether a person was asked, so that the run is followed on.
Report = Callable[[int, str], Awaitable[None]]
Ask = Callable[[Questions], Awaitable[bool]]


async def _nothing(*_: object) -> None:
    """In the newest revision the SDK does this."""


@dataclass(slots=True)
class Exchange:
    """A request by one user. `session` is what a client of the older revisions was given by `initialize`."""

    container: Container
    user: Principal
    streams: OpenStreams
    session: str | None = None
    # The client has closed the connection.
    left: bool = False
    # How the older revisions write a message of ours, and keep a connection alive.
    write: Callable[[JsonObject], Awaitable[None]] = _nothing
    beat: Callable[[], Awaitable[None]] = _nothing

    async def list_tools(self, cursor: str | None) -> JsonObject:
        """A page of the agents that the user may talk to, as tools. Raises `InvalidCursor`."""
        container, user = self.container, self.user
        owner = await whose(container, user, "agent")
        page = await container.agents.list(owner, within=user.within, limit=_PAGE, after=cursor)
        tools = [translator.to_tool(agent) for agent in page["data"]]
        return {"resultType": "complete", "tools": tools} | (
            {} if page["next"] is None else {"nextCursor": page["next"]}
        )

    def open_call(self, tool: str) -> "AgentCall":
        """A call of an agent's tool. Raises `UnknownTool` for what is no name of one; whose it is, the call asks."""
        agent_id = translator.agent_of(tool)
        if agent_id is None:
            raise UnknownTool
        return AgentCall(self, agent_id)

    async def answer(self, question: object, answer: object) -> None:
        """Take a person's answer to a question. One that is late, or without the right to decide, does nothing."""
        call = WaitingCall.from_text(question)
        if call is None:
            return
        approved = translator.is_approved(answer)
        decision = Approval(tool_call_id=call.tool_call_id, approved=approved, reason=None if approved else _REFUSED)
        with suppress(RequestError):
            thread = await see_thread(self.container, self.user, call.thread_id)
            await decide_tool_call(self.container, self.user, thread, call.run_id, decision)

    async def cancel(self, request_id: object) -> None:
        """Cancel the run of an earlier request of this session. One that has ended stays as it is."""
        if self.session is None:
            return
        key = self.key_of(request_id)

        def find(connection: Connection) -> tuple[str, str] | None:
            run_id = idempotency.find_run(connection, self.user.user_id, key)
            thread_id = None if run_id is None else runs.find_thread_id(connection, run_id)
            return None if run_id is None or thread_id is None else (thread_id, run_id)

        found = await self.container.conn.database.read(find)
        if found is not None:
            await self.stop(*found)

    async def stop(self, thread_id: str, run_id: str) -> None:
        """Cancel a run, if the user may."""
        with suppress(AIAgentsError):
            await cancel_run(self.container, self.user, await see_thread(self.container, self.user, thread_id), run_id)

    def key_of(self, request_id: object) -> str:
        """Under what a request's run is found again. No idempotency key of a client has a space in it."""
        return f"mcp {self.session} {sha256(repr(request_id).encode(errors='replace')).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Post:
    """A request whose body has been read. `session`: that of a client of the older revisions, or a new one."""

    exchange: Exchange
    session: str | None
    body: bytes
    message: JsonObject


@dataclass(slots=True, eq=False)
class AgentCall:
    """A call of a tool that is an agent. It is counted among the user's open streams as long as it is followed."""

    exchange: Exchange
    agent_id: str
    thread_id: str | None = None
    run_id: str | None = None
    user_id: str = ""
    _reader: StreamReader | None = None
    _right: StreamRight | None = None
    _fold: RunFold = field(default_factory=RunFold)

    def __post_init__(self) -> None:
        self.user_id = self.exchange.user.user_id

    async def start(self, arguments: Mapping[str, object], request_id: object) -> None:
        """Send the message that the arguments say. Raises `UnknownTool`, and `RequestError` where it is refused."""
        exchange, container, user = self.exchange, self.exchange.container, self.exchange.user
        exchange.streams.check(user)
        try:
            given = CallArguments.model_validate(dict(arguments))
            body = CreateMessage.model_validate({"content": given.message}, context=container.settings)
        except ValidationError as error:
            await self._require_tool()
            raise InvalidFields(validation_errors(error.errors(include_url=False, include_input=False))) from None
        sent = self._sent(given, request_id)
        started = await self._repeated(sent)
        if started is None:
            try:
                started = await self._begin(given.thread_id, body, sent)
            except RequestError:
                await self._require_tool()
                raise
        self.thread_id, self.run_id = started.run["thread_id"], started.run["id"]
        self._right = StreamRight(container, user, self.thread_id)
        self._reader = await messages.follow(container, started, self._right)

    async def resume(self, state: str, answers: Mapping[str, object]) -> None:
        """Take a person's answers, and follow the run on. `state` and answers are the client's word: rights are asked.

        Raises `UnknownTool`, `ThreadNotFound`, `RunNotFound`, `Conflict` for a run of another agent.
        """
        container, user = self.exchange.container, self.exchange.user
        self.exchange.streams.check(user)
        await self._require_tool()
        thread_id, _, run_id = state.partition(" ")
        thread = await see_thread(container, user, check_id(thread_id, ThreadNotFound))
        run = await container.runs.get(thread.thread_id, check_id(run_id, ThreadNotFound))
        if run["agent_id"] != self.agent_id:
            raise Conflict("This is a run of another agent.")
        self.thread_id, self.run_id = thread.thread_id, run["id"]
        for question, answer in answers.items():
            call = WaitingCall.from_text(question)
            if call is not None and (call.thread_id, call.run_id) == (self.thread_id, self.run_id):
                await self.exchange.answer(question, answer)
        self._right = StreamRight(container, user, self.thread_id)
        self._reader = await container.runner.read_run(self.thread_id, self.run_id, right=self._right)

    async def _require_tool(self) -> None:
        """Raises `UnknownTool` unless the user may talk to the agent. A call that succeeds has asked that by itself."""
        try:
            await require_agent(self.exchange.container, self.exchange.user, self.agent_id)
        except AgentNotFound:
            raise UnknownTool from None

    def end(self) -> None:
        """Stop following: the process ends. The run goes on."""
        if self._reader is not None:
            self._reader.end()

    async def follow(self, report: Report | None, ask: Ask) -> JsonObject | Questions:
        """The result when the run has ended, or questions that `ask` has not put to a person. Reports meanwhile.

        Raises `ThreadNotFound` where the right was lost, `Overloaded` where this process stops.
        """
        streams, reader, loop = self.exchange.streams, self._reader, asyncio.get_running_loop()
        reported = float("-inf")
        self._fold.shows = report is not None
        assert self.thread_id is not None  # noqa: S101  # it was started
        assert self.run_id is not None  # noqa: S101
        assert reader is not None  # noqa: S101
        streams.add(self)
        try:
            await self.exchange.beat()
            async with aclosing(reader.frames()) as batches:
                async for batch in batches:
                    for frame in batch:
                        self._fold.take(frame.type, frame.data)
                    if not batch:
                        await self.exchange.beat()
                    now = loop.time()
                    is_due = not batch or now - reported >= _REPORT_EVERY_S or self._fold.is_over
                    if report is not None and is_due and (told := self._fold.take_told()):
                        await report(self._fold.shown, told)
                        reported = now
                    if self._fold.ending is not None:
                        return translator.result_of_run(self._fold, self.thread_id, self.run_id)
                    if self._fold.waits:
                        self._fold.waits = False
                        questions = await self._questions(self.thread_id, self.run_id)
                        if questions is not None and not await ask(questions):
                            return questions
        finally:
            streams.discard(self)
        if self._right is None or not await self._right.stands():
            raise ThreadNotFound
        raise Overloaded("This process is stopping; the run goes on.", retry_after_s=1)

    async def _questions(self, thread_id: str, run_id: str) -> Questions | None:
        """What to ask about the calls that wait now: the event may be of an earlier wait, which is over."""
        container = self.exchange.container

        def find(connection: Connection) -> Sequence[ToolCallPart]:
            return [each.call for each in tool_calls.list_open(connection, run_id) if each.status == "waiting"]

        waiting = await container.conn.database.read(find)
        if not waiting:
            return None
        agent = await container.agents.find(self.agent_id)
        name = "(deleted)" if agent is None else agent["name"]
        asked = {
            WaitingCall(thread_id, run_id, call.tool_call_id).to_text(): translator.question_of(name, call)
            for call in waiting
        }
        return Questions(thread_id, run_id, asked)

    def _sent(self, given: CallArguments, request_id: object) -> SentKey | None:
        """By what the request is known again: within its session by its id, otherwise not at all."""
        if self.exchange.session is None:
            return None
        found = idempotency.fingerprint("POST", self.agent_id, given.model_dump_json().encode())
        return SentKey(self.exchange.key_of(request_id), found)

    async def _repeated(self, sent: SentKey | None) -> Started | None:
        if sent is None:
            return None
        try:
            return await messages.find_repeated(self.exchange.container, self.exchange.user, sent)
        except IdempotencyKeyReused:  # clients count from 1 again, or use one id for everything
            return None

    async def _begin(self, thread_id: str | None, body: CreateMessage, sent: SentKey | None) -> Started:
        container, user = self.exchange.container, self.exchange.user
        if thread_id is None:
            judged = JudgedThread(CreateThread(agent_id=self.agent_id))
            made = (await threads.create_thread(container, user, judged))["id"]
        else:
            found = await see_thread(container, user, check_id(thread_id, ThreadNotFound))
            if found.agent_id != self.agent_id:
                raise Conflict("This thread is one with another agent.")
            made = found.thread_id
        try:
            return await self._send(made, to_parts(body.content), sent)
        except RequestError:
            if thread_id is None:
                await container.threads.delete(made)  # nothing was said in it
            raise

    async def _send(self, thread_id: str, parts: Sequence[TextPart | FilePart], sent: SentKey | None) -> Started:
        container, user = self.exchange.container, self.exchange.user
        right = StreamRight(container, user, thread_id)
        if sent is None:
            return await container.runner.start(
                thread_id, user.user_id, parts, follow=True, right=right, key_id=user.key_id, **user.reach
            )
        try:
            return await messages.start(container, user, thread_id, parts, sent=sent, follow=True, right=right)
        except IdempotencyKeyReused:
            anew = replace(sent, within_s=0)
            return await messages.start(container, user, thread_id, parts, sent=anew, follow=True, right=right)
