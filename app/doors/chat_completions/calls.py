"""How a chat completion is answered: in which thread, by which run, and whole or in chunks."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import orjson

from ai_agents.core.exceptions import ThreadNotFound, ToolCallNotFound
from ai_agents.core.rows import Run, RunOverrides
from ai_agents.core.types import JsonObject, LogRow, ToolCallPart
from ai_agents.runner.client_calls import GivenResult
from ai_agents.runner.sending import MessageOptions
from ai_agents.store import runs, thread_log
from ai_agents.streams.cursor import parse_event_id
from app.authentication import StreamRight
from app.container import Container
from app.doors import messages
from app.doors.begun import Begun, find_begun, remember_going_on
from app.doors.chat_completions.reading import ChatCall, read_call
from app.doors.chat_completions.schemas import CreateChatCompletion
from app.doors.chat_completions.translator import Progress
from app.doors.files import FileKeeper
from app.doors.history import keep_history
from app.doors.openai_errors import schema_named_at
from app.doors.openai_models import find_agent
from app.doors.threads import find_thread, in_a_day, instructions_of, make_thread, thread_for
from app.services.identity import Principal
from app.services.messages import wait_for_run
from app.services.repeats import SentKey

DOOR = "chat"
# Rows of a run that are read at once.
_PAGE = 500


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request: its body, the conversation that it names (None: none), and how it is known again."""

    body: CreateChatCompletion
    chat_id: str | None
    sent: SentKey

    @property
    def streams(self) -> bool:
        """Whether the answer comes in chunks."""
        return self.body.stream is True


async def begin(container: Container, user: Principal, asked: ChatRequest) -> Begun:
    """The run that answers the request.

    Raises `InvalidRequest`, `ModelNotFound`, `AmbiguousModel`, `OtherAgent`, `ToolCallNotFound`, and what
    `AgentRunner.start` raises.
    """
    if (repeated := await find_begun(container, user, asked.sent)) is not None:
        return repeated
    agent_id = await find_agent(container, user, asked.body.model)
    call = read_call(asked.body)
    if call.results:
        thread_id = None
        if asked.chat_id is not None:
            place = await find_thread(container, user, DOOR, asked.chat_id)
            if place is None:
                raise ToolCallNotFound
            thread_id = place.thread_id
        return await _give_results(container, user, call.results, sent=asked.sent, thread_id=thread_id)
    said, instructions = await instructions_of(container, user, agent_id, call.instructions)
    options = _options(asked.body, call, instructions)
    expires_at = in_a_day() if asked.chat_id is None else None
    with schema_named_at("response_format"):
        async with FileKeeper(container, user, expires_at=expires_at) as keeper:
            if asked.chat_id is not None:
                thread_id = await thread_for(container, user, DOOR, asked.chat_id, agent_id)
            else:
                history = await keep_history(keeper, call.history)
                thread_id = await make_thread(container, user, agent_id, history, expires_at=expires_at)
            started = await messages.start(
                container,
                user,
                thread_id,
                [*said, *await keeper.keep(call.parts)],
                sent=asked.sent,
                follow=asked.streams,
                right=StreamRight(container, user, thread_id),
                **options,
            )
    return Begun(started.run, started=started)


async def _give_results(
    container: Container, user: Principal, results: Mapping[str, str], *, sent: SentKey, thread_id: str | None
) -> Begun:
    """Give results, by the ids of their calls, to the run that waits for them: of this thread, or the user's own.

    Raises `ToolCallNotFound` where none does, and what `AgentRunner.give_results` raises.
    """
    database = container.conn.database
    found = await database.read(lambda c: runs.find_waiting(c, user.user_id, list(results), thread_id=thread_id))
    if found is None:
        raise ToolCallNotFound
    given: list[GivenResult] = [{"tool_call_id": name, "result": value} for name, value in results.items()]
    try:
        gone_on = await container.runner.give_results(
            found["thread_id"], found["id"], user.user_id, given, **user.reach
        )
    except ThreadNotFound:
        raise ToolCallNotFound from None
    return await remember_going_on(container, user, sent, gone_on.run, gone_on.after)


def _seq_before(begun: Begun) -> int:
    """The last row of the thread's log before those that answer the request."""
    if begun.after is not None:
        return parse_event_id(begun.after)[0]
    message = None if begun.started is None else begun.started.user_message
    return (message["seq"] or 1) - 1 if message is not None else 0


async def _read_rows(container: Container, begun: Begun) -> AsyncGenerator[LogRow]:
    """The rows of the run's log that answer the request, as far as there are any."""
    run, seq = begun.run, _seq_before(begun)
    while True:
        page = await container.conn.database.read(
            partial(thread_log.list_after, thread_id=run["thread_id"], seq=seq, run_id=run["id"], limit=_PAGE)
        )
        for row in page:
            yield row
        if len(page) < _PAGE:
            return
        seq = page[-1].seq


def _options(body: CreateChatCompletion, call: ChatCall, instructions: str | None) -> MessageOptions:
    overrides: RunOverrides = {}
    if call.settings:
        overrides["settings"] = call.settings
    if call.output_schema is not None:
        overrides["output_schema"] = call.output_schema
    if instructions is not None:
        overrides["instructions"] = instructions
    metadata = {name: value for name, value in (body.metadata or {}).items() if name != "thread_id"}
    options: MessageOptions = {"metadata": metadata, "overrides": overrides or None}
    if call.tools:
        options["client_tools"] = call.tools
    return options


async def wait(container: Container, begun: Begun, right: StreamRight) -> tuple[Run, Progress]:
    """The run once it has ended or waits, and what it has said. Raises `ThreadNotFound` if the right was lost."""
    result = await wait_for_run(container, begun.run, right)
    progress = Progress(goes_on=begun.after is not None)
    async for row in _read_rows(container, begun):
        progress.take(row.type, orjson.loads(row.data))
    if result.run["status"] == "waiting":
        progress.wait_for(_calls(result.client_calls), thread_id=result.run["thread_id"], run_id=result.run["id"])
    return result.run, progress


async def progress_at_start(container: Container, begun: Begun) -> Progress:
    """What a stream begins with: a run that was given results, but waits for more, has its answer already."""
    progress = Progress(goes_on=begun.after is not None)
    if begun.started is None and begun.run["status"] == "waiting":
        result = await container.runner.wait(begun.run["thread_id"], begun.run["id"])
        if result.run["status"] == "waiting":
            progress.wait_for(_calls(result.client_calls), thread_id=result.run["thread_id"], run_id=result.run["id"])
    return progress


def _calls(calls: Sequence[ToolCallPart]) -> list[JsonObject]:
    return [{"tool_call_id": each.tool_call_id, "name": each.name, "arguments": each.arguments} for each in calls]
