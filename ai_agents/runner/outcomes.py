"""What comes of a message or a run: its answer, or the run where it has ended or waits."""

import asyncio
from dataclasses import dataclass

from sqlalchemy import Connection

from ai_agents.core.exceptions import LogTrimmed, Overloaded, RunCancelled, RunWaiting, run_error
from ai_agents.core.rows import Message, Problem, Run
from ai_agents.core.types import TERMINAL_RUN_STATUSES, ToolCallPart
from ai_agents.runner.ending import Answered, EndedRun
from ai_agents.runner.handle import DatabaseHandle
from ai_agents.store import runs, tool_calls
from ai_agents.store.messages import find_answer, find_last_answer
from ai_agents.streams.cursor import cursor_in_run
from ai_agents.streams.reader import StreamReader


@dataclass(frozen=True, slots=True)
class Started:
    """An admitted message: its run, or the run that it joins, and the message itself (None for a replay).

    `message_id` is None for a replay of what was sent before messages could join runs. `answered` is
    its first answer, or the run's end, where the run has begun in this process.
    """

    run: Run
    user_message: Message | None
    replayed: bool
    message_id: str | None = None
    reader: StreamReader | None = None
    answered: asyncio.Future[EndedRun | Answered | None] | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run at its end (or waiting for a person or the client), and the assistant's last message of it if there is one.

    Of one message: its first answer, after which the run may go on with others. `client_calls` are the calls that wait
    for results of the client.
    """

    run: Run
    message: Message | None
    client_calls: tuple[ToolCallPart, ...] = ()

    @property
    def failure(self) -> Problem | None:
        """What the run failed with, unless the one message that was asked for had its answer before."""
        if self.message is not None and self.message["status"] == "completed":
            return None
        return self.run["error"]


def answer_of(result: RunResult) -> Message:
    """The answer. Raises what the run failed with, `RunWaiting` and `RunCancelled`."""
    if (problem := result.failure) is not None:
        raise run_error(problem)
    if result.run["status"] == "waiting":
        raise RunWaiting(thread_id=result.run["thread_id"], run_id=result.run["id"])
    if result.message is None:
        raise RunCancelled
    return result.message


def stopping() -> Overloaded:
    """The error of one who waits for a run while the process stops."""
    return Overloaded("This process is stopping; the run goes on, see its events.", retry_after_s=1)


class Outcomes:
    """Waits for what comes of messages and runs, on whichever process they run."""

    def __init__(self, conn: DatabaseHandle) -> None:
        self._database = conn.database
        self._executor = conn.executor
        self._readers = conn.readers

    async def of_message(self, started: Started) -> RunResult:
        """The first answer after a message, or its run where that has ended or waits for a person before."""
        if started.answered is not None:
            found = await asyncio.shield(started.answered)
            if found is not None:
                return RunResult(found.run, found.message)
        thread_id, run_id = started.run["thread_id"], started.run["id"]
        message_id = started.message_id
        if message_id is None:
            row = await self._database.read(lambda c: runs.get_row(c, thread_id, run_id))
            message_id = row["user_message_id"]
        return await self._follow_to_result(thread_id, run_id, message_id)

    async def of_run(self, thread_id: str, run_id: str) -> RunResult:
        """The run once it has ended, or waits for a person or the client, on whichever process it runs.

        Raises `RunNotFound`.
        """
        ended = self._executor.find_ended(run_id)
        if ended is not None:
            found = await asyncio.shield(ended)
            if found is not None:
                return RunResult(found.run, found.message)
        return await self._follow_to_result(thread_id, run_id, None)

    async def _follow_to_result(self, thread_id: str, run_id: str, message_id: str | None) -> RunResult:
        try:
            cursor = await self._database.read(lambda c: cursor_in_run(c, thread_id, run_id, None))
        except LogTrimmed:  # it has ended long ago
            cursor = None
        if cursor is not None:
            reader = self._readers.open(cursor)
            events = reader.events()
            try:
                async for event in events:
                    # The event may be from an earlier wait that is over, or tell of an earlier answer.
                    if event.type == "run.waiting" or (message_id is not None and event.type == "message.completed"):
                        now = await self._outcome(thread_id, run_id, message_id)
                        if now is not None:
                            return now
            finally:
                await events.aclose()
        outcome = await self._outcome(thread_id, run_id, message_id)
        if outcome is None:
            raise stopping()
        return outcome

    async def _outcome(self, thread_id: str, run_id: str, message_id: str | None) -> RunResult | None:
        """The result of a run that has ended or waits; None while it goes on. Of one message, its answer is enough."""

        def find(connection: Connection) -> RunResult | None:
            run = runs.to_public(runs.get_row(connection, thread_id, run_id))
            answer = None if message_id is None else find_answer(connection, run_id, message_id)
            if answer is None and run["status"] not in TERMINAL_RUN_STATUSES and run["status"] != "waiting":
                return None
            open_calls = tool_calls.list_open(connection, run_id) if run["status"] == "waiting" else ()
            asked = tuple(each.call for each in open_calls if each.status == "client")
            return RunResult(run, answer if message_id is not None else find_last_answer(connection, run_id), asked)

        return await self._database.read(find)
