"""Answers to calls that wait: what a person decided, and what the client's calls gave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from ai_agents.core.exceptions import Conflict, InvalidRequest
from ai_agents.core.types import Loc
from ai_agents.runner.client_calls import GivenResult
from ai_agents.store import runs, thread_log, tool_calls
from ai_agents.store.tool_calls import OpenCall
from app.container import Container
from app.doors.begun import Begun, remember_going_on
from app.schemas.threads import Approval
from app.services import runs as run_services
from app.services.identity import Principal, see_thread
from app.services.repeats import SentKey


@dataclass(frozen=True, slots=True)
class Decided:
    """The answer to a call that waits for approval."""

    approved: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """By the ids of the calls: `decisions`, and `results` of the client, among which there may be old ones."""

    decisions: Mapping[str, Decided] = field(default_factory=dict)
    results: Mapping[str, GivenResult] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WaitingRun:
    """A run that waits, since this row of the log, for these calls."""

    thread_id: str
    run_id: str
    seq: int
    calls: Sequence[OpenCall]

    @property
    def of_client(self) -> list[str]:
        """The ids of those that wait for results of the client."""
        return [each.call.tool_call_id for each in self.calls if each.status == "client"]

    @property
    def of_person(self) -> list[str]:
        """The ids of those that wait for a decision."""
        return [each.call.tool_call_id for each in self.calls if each.status == "waiting"]

    def is_answered_by(self, answers: Answers) -> bool:
        """Whether something of it is answered."""
        return any(
            each.call.tool_call_id in answers.results or each.call.tool_call_id in answers.decisions
            for each in self.calls
        )


async def find_waiting(container: Container, thread_id: str) -> WaitingRun | None:
    """The run of the thread that waits; None if none does."""

    def find(connection: Connection) -> WaitingRun | None:
        row = runs.find_active(connection, thread_id)
        if row is None or row["status"] != "waiting":
            return None
        calls = [each for each in tool_calls.list_open(connection, row["id"]) if each.waits]
        return WaitingRun(thread_id, row["id"], thread_log.waits_of_run(connection, row["id"])[-1], calls)

    return await container.conn.database.read(find)


async def answer_all(
    container: Container, user: Principal, waiting: WaitingRun, answers: Answers, *, sent: SentKey, loc: Loc
) -> Begun:
    """Give the run all that it waits for; its rest from there.

    Raises what `require_all` and `give` raise, and `Conflict` for a decision on a call that does not wait.
    """
    require_all(waiting, answers, loc)
    if unknown := answers.decisions.keys() - set(waiting.of_person):
        raise Conflict(f"{min(unknown)} does not wait for an approval.")
    await give(container, user, waiting, answers)
    run = await container.runs.get(waiting.thread_id, waiting.run_id)
    return await remember_going_on(container, user, sent, run, f"{waiting.seq}-0")


def require_all(waiting: WaitingRun, answers: Answers, loc: Loc) -> None:
    """Raises `InvalidRequest` at `loc` unless each call that waits has an answer."""
    missing = [name for name in waiting.of_client if name not in answers.results]
    missing += [name for name in waiting.of_person if name not in answers.decisions]
    if missing:
        raise InvalidRequest(f"Answer every call that waits: {', '.join(missing)} has no answer.", loc=loc)


async def give(container: Container, user: Principal, waiting: WaitingRun, answers: Answers) -> None:
    """Give the run the results that it waits for, and the decisions. Raises what the two ways of answering raise."""
    thread_id, run_id = waiting.thread_id, waiting.run_id
    if results := [answers.results[name] for name in waiting.of_client]:
        await container.runner.give_results(thread_id, run_id, user.user_id, results, **user.reach)
    seen = await see_thread(container, user, thread_id)
    for name, decided in answers.decisions.items():
        body = Approval(tool_call_id=name, approved=decided.approved, reason=decided.reason)
        await run_services.decide_tool_call(container, user, seen, run_id, body)
