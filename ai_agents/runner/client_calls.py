"""Calls of tools of the client. It makes them itself, and gives their results to the run that waits for them.

The results are judged, shortened and kept like those of other tools, before the transaction that records them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NotRequired, TypedDict

from sqlalchemy import Connection

from ai_agents.attachments.files import Attachments
from ai_agents.auth.roles import find_on_thread
from ai_agents.auth.runs import require_to_send
from ai_agents.context.contexts import Contexts
from ai_agents.context.purposes import CallPurpose
from ai_agents.core.exceptions import Conflict, InvalidRequest, ThreadNotFound, ToolCallNotFound
from ai_agents.core.rows import Agent, Run
from ai_agents.core.scopes import AgentScope
from ai_agents.core.table_rows import RunRow
from ai_agents.core.types import FilePart, ToolCallPart, ToolResultPart
from ai_agents.guardrails.base import Finding
from ai_agents.runner.decisions import resume
from ai_agents.runner.guarding import RunGuards
from ai_agents.runner.handle import DatabaseHandle
from ai_agents.runner.kept_results import keep_result
from ai_agents.runner.limits import RunLimits
from ai_agents.runner.ownership import FollowUp, NewLease
from ai_agents.runner.preparation import TurnPreparer
from ai_agents.runner.recording import finding_entries, insert_result
from ai_agents.store import runs, thread_log, tool_calls
from ai_agents.tools.base import ToolError
from ai_agents.tools.executor import clean_result, show_result


class GivenResult(TypedDict):
    """What the client's call `tool_call_id` gave: any JSON. `is_error` says that it failed."""

    tool_call_id: str
    result: Any
    is_error: NotRequired[bool]


@dataclass(frozen=True, slots=True)
class GivenResults:
    """The run after its results were given; it goes on when none of its calls waits any more.

    `after` is the id of the event of the last result: a reader after it gets what the run does next.
    """

    run: Run
    after: str
    follow_up: FollowUp


@dataclass(frozen=True, slots=True)
class Giver:
    """Who gives results to which run; see `AdmissionRequest`."""

    thread_id: str
    run_id: str
    user_id: str
    is_admin: bool = False
    within: AgentScope | None = None


class ClientCalls:
    """Takes results of clients' calls for one runner. Without `attachments` the rest of long ones is lost."""

    def __init__(
        self,
        conn: DatabaseHandle,
        preparer: TurnPreparer,
        contexts: Contexts,
        *,
        limits: RunLimits,
        attachments: Attachments | None,
    ) -> None:
        self._database = conn.database
        self._executor = conn.executor
        self._preparer = preparer
        self._contexts = contexts
        self._limits = limits
        self._attachments = attachments

    async def give(self, giver: Giver, results: Sequence[GivenResult]) -> GivenResults:
        """Record results; see `AgentRunner.give_results`."""
        ids = [each["tool_call_id"] for each in results]
        if not ids or len(set(ids)) < len(ids):
            raise InvalidRequest("Give one result for each call.", loc=("results",))
        row, calls, agent = await self._database.read(lambda c: self._find(c, giver, ids))
        guards = None
        if agent["guardrails"]:
            by_admin = row["by_admin"]
            purpose = CallPurpose.of_agent(
                agent, giver.thread_id, user_id=row["user_id"], by_admin=by_admin, run_id=row["id"]
            )
            guards = RunGuards(await self._contexts.prepare_guards(agent["guardrails"], purpose))
        handler = _Handler(giver, guards, self._attachments)
        shown = [await self._show(call, each, handler) for call, each in zip(calls, results, strict=True)]
        findings = () if guards is None else guards.take_findings()
        record = partial(_record, giver=giver, results=shown, findings=findings, lease=self._executor.lease)
        return await self._executor.commit(record, self._preparer)

    def _find(
        self, connection: Connection, giver: Giver, ids: Sequence[str]
    ) -> tuple[RunRow, list[ToolCallPart], Agent]:
        row, calls = _find_calls(connection, giver, ids)
        return row, calls, self._contexts.agents.get(connection, row["agent_id"], row["agent_version"])

    async def _show(self, call: ToolCallPart, given: GivenResult, handler: "_Handler") -> ToolResultPart:
        """The result as the model is shown it."""
        is_error = given.get("is_error", False)
        try:
            value = await clean_result(given["result"])
        except ToolError as error:
            value, is_error = str(error), True
        most = self._limits.tool_result_bytes
        return await show_result(call, value, is_error=is_error, max_bytes=most, handler=handler)


class _Handler:
    """Judges and keeps what a client gives; see `ResultHandler`. Its files are the giver's."""

    def __init__(self, giver: Giver, guards: RunGuards | None, attachments: Attachments | None) -> None:
        self._giver = giver
        self._guards = guards
        self._attachments = attachments

    async def judge_result(self, value: Any) -> Any:
        """The allowed part of a result. Raises `ToolError` for a blocked one."""
        return value if self._guards is None else await self._guards.judge_result(value)

    async def keep_result(self, tool: str, text: str) -> FilePart | None:
        """A file with all of it; None where it cannot be stored."""
        return await keep_result(self._attachments, self._giver.user_id, text, tool=tool, run_id=self._giver.run_id)


def _find_calls(connection: Connection, giver: Giver, ids: Sequence[str]) -> tuple[RunRow, list[ToolCallPart]]:
    """The run and its calls with these ids, if the giver may answer them now.

    Raises `ThreadNotFound`, `RunNotFound`, `PermissionDenied`, `AgentDeleted`, `ToolCallNotFound`, `Conflict`.
    """
    found = find_on_thread(connection, giver.user_id, giver.thread_id, is_admin=giver.is_admin, within=giver.within)
    if found is None:
        raise ThreadNotFound
    row = runs.get_row(connection, giver.thread_id, giver.run_id)
    require_to_send(found, is_admin=giver.is_admin)
    tools = {tool["name"] for tool in row["client_tools"] or ()}
    recorded = tool_calls.find_calls(connection, giver.run_id, ids)
    if any(each not in recorded or recorded[each].call.name not in tools for each in ids):
        raise ToolCallNotFound
    if row["status"] != "waiting" or any(recorded[each].status != "client" for each in ids):
        raise Conflict("This call does not wait for a result: it has one, or its run does not wait.")
    return row, [recorded[each].call for each in ids]


def _record(
    connection: Connection,
    *,
    giver: Giver,
    results: Sequence[ToolResultPart],
    findings: Sequence[Finding],
    lease: NewLease | None,
) -> GivenResults:
    """Record the results. After the last one the run goes on, under `lease`. Raises what `_find_calls` raises."""
    thread_log.lock(connection, giver.thread_id)
    row, _ = _find_calls(connection, giver, [each.tool_call_id for each in results])
    if findings:
        thread_log.append(connection, giver.thread_id, *finding_entries(giver.run_id, findings))
    first = thread_log.reserve(connection, giver.thread_id, len(results))
    for seq, result in enumerate(results, start=first):
        insert_result(
            connection, giver.thread_id, giver.run_id, result, seq=seq, status="finished", user_id=giver.user_id
        )
    decided = resume(connection, row, lease)
    return GivenResults(decided.run, f"{first + len(results) - 1}-0", decided.follow_up)
