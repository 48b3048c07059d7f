"""Admission of a message to a thread: one transaction decides on access, idempotency and `on_busy`, and stores it.

The thread is locked first, so that a decision on one replica holds on all of them. Input guardrails judge a message
between two transactions.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from ai_agents.auth.files import attach
from ai_agents.auth.limits import Limits
from ai_agents.auth.roles import find_on_thread
from ai_agents.auth.runs import require_to_send
from ai_agents.context.contexts import Contexts
from ai_agents.context.purposes import CallPurpose
from ai_agents.core import tracing
from ai_agents.core.exceptions import (
    IdempotencyKeyReused,
    InvalidRequest,
    Overloaded,
    QuotaExceeded,
    ThreadBusy,
    ThreadNotFound,
)
from ai_agents.core.limits import UserLimits
from ai_agents.core.overrides import overridden
from ai_agents.core.rows import Agent
from ai_agents.core.table_rows import RunValues
from ai_agents.core.types import FilePart, Loc, TextPart, ToolDefinition
from ai_agents.core.user_locks import UserLocks
from ai_agents.guardrails.registry import guards_key
from ai_agents.providers.base import Provider
from ai_agents.runner import retrying, steering
from ai_agents.runner.admission_request import AdmissionRequest, Admitted
from ai_agents.runner.ending import end_interrupted, end_unowned, start_next
from ai_agents.runner.guarding import note_findings
from ai_agents.runner.handle import DatabaseHandle
from ai_agents.runner.input_guarding import JudgedMessage, Verdict, judge_message, judge_overrides, judge_tools
from ai_agents.runner.message_placing import (
    as_steered,
    enqueue,
    hold,
    insert_user_message,
    record_findings,
    require_place,
    run_gives_way,
    steer,
)
from ai_agents.runner.new_runs import new_retry, new_run, require_overriding
from ai_agents.runner.ownership import FollowUp, NewLease
from ai_agents.runner.preparation import TurnPreparer
from ai_agents.runner.recording import running_values, started_entry
from ai_agents.store import idempotency, runs, thread_log, totals
from ai_agents.store.runs import owned_run
from ai_agents.store.statements import send_together, together
from ai_agents.store.thread_access import ThreadAccess
from ai_agents.tools.registry import approvals_by_name

# Long enough that clients do not crowd a full service.
_RETRY_AFTER_S = 5
# Users with a higher limit of runs are not admitted one after the other, which would cost them more than it is worth:
# they may pass it by what is admitted in the same moment.
_MOST_COUNTED_EXACTLY = 200


@dataclass(frozen=True, slots=True)
class _Terms:
    """On what terms this process takes a run: under this lease, and at once only if it has a slot for it."""

    lease: NewLease
    has_slot: bool


class _NeedsVerdict(Exception):
    """The agent's input guardrails have to judge these parts first. Raised, it rolls the transaction back."""

    def __init__(self, agent: Agent, parts: Sequence[TextPart | FilePart]) -> None:
        super().__init__()
        self.agent = agent
        self.parts = parts


class _NeedsModel(Exception):
    """The provider of this model has to be asked first which files it takes. Raised, it rolls the transaction back."""

    def __init__(self, provider: Provider, model: str) -> None:
        super().__init__()
        self.provider = provider
        self.model = model


class MessageAdmission:
    """Admits messages for one runner."""

    def __init__(self, conn: DatabaseHandle, preparer: TurnPreparer, contexts: Contexts, limits: Limits) -> None:
        self._executor = conn.executor
        self._preparer = preparer
        self._contexts = contexts
        self._limits = limits
        self._users = UserLocks(conn.database.dialect)

    async def admit(self, request: AdmissionRequest) -> Admitted:
        """Admit a message. Where this process has no slot for its run, the run is held until a process has one.

        Raises `ThreadNotFound`, `InvalidRequest` for a file that this user may not read, `UnsupportedAttachment`,
        `PermissionDenied`, `AgentDeleted`, `ThreadBusy`, `QueueFull`, `IdempotencyKeyReused`, `GuardrailBlocked`,
        `QuotaExceeded`, `BudgetExceeded`, `Overloaded` while the process stops, and where too many runs are held.
        """
        if (trace := tracing.current()) is not None:
            request = replace(request, trace=trace)
        while True:
            lease = self._executor.lease
            if lease is None:
                raise Overloaded("This process is stopping.", retry_after_s=1)
            try:
                return await self._commit(request, lease)
            except _NeedsModel as unknown:
                await self._contexts.models.prepare_model(unknown.provider, unknown.model)
                continue
            except _NeedsVerdict as needed:
                agent, parts = needed.agent, needed.parts
            purpose = _purpose_of(request, agent)
            guards = await self._contexts.prepare_guards(agent["guardrails"], purpose)
            message = await judge_message(guards.input, parts, self._contexts.requests.blobs)
            tools, found = await judge_tools(guards.input, request.client_tools)
            overrides, also = await judge_overrides(guards.input, request.overrides)
            message = replace(message, findings=tuple(dict.fromkeys((*message.findings, *found, *also))))
            note_findings(message.findings)
            verdict = Verdict(agent["id"], agent["version"], message)
            request = replace(
                request,
                parts=message.parts,
                attachments=(),
                verdict=verdict,
                client_tools=tools,
                overrides=overrides,
            )

    async def _commit(self, request: AdmissionRequest, lease: NewLease) -> Admitted:
        with self._executor.slots.reserved() as has_slot:
            decide = partial(self._decide, request, _Terms(lease, has_slot))
            async with self._turn_of(request):
                admitted = await self._executor.commit(decide, self._preparer)
        if admitted.is_held:
            self._executor.slots.note_waiting()
        return admitted

    def _turn_of(self, request: AdmissionRequest) -> AbstractAsyncContextManager[None]:
        """Where the transaction will lock the user: the user's turn in this process."""
        limits = self._limits.of(request.user_id, is_admin=request.is_admin)
        return self._users.hold(request.user_id) if _counts_exactly(limits) else nullcontext()

    async def judge(self, agent: Agent, parts: Sequence[TextPart | FilePart], purpose: CallPurpose) -> JudgedMessage:
        """What the agent's input guardrails allow of a message.

        Raises `GuardrailBlocked`, `BudgetExceeded`, `StorageUnavailable`.
        """
        guards = await self._contexts.prepare_guards(agent["guardrails"], purpose)
        return await judge_message(guards.input, parts, self._contexts.requests.blobs)

    def _decide(self, request: AdmissionRequest, terms: _Terms, connection: Connection) -> Admitted:
        """Decide, and store the message and its run."""
        limits = self._limits.of(request.user_id, is_admin=request.is_admin)
        # The number of the run's first log row. Reserving it locks the thread, and perhaps the user.
        if _counts_exactly(limits):
            seq = thread_log.reserve_for_user(connection, request.thread_id, 1, request.user_id)
        else:
            seq = thread_log.reserve(connection, request.thread_id, 1)
        # Before a repeated request is answered: its run is shown only to those who may see it now.
        found = _visible_thread(connection, request, count_runs=limits["runs"] is not None)
        if (earlier := _find_replayed(connection, request)) is not None:
            thread_log.give_back(connection, request.thread_id, 1, idle=True)
            return earlier
        placed = _placed_parts(request)
        if files := any(isinstance(part, FilePart) for part, _ in placed):
            request = replace(
                request,
                parts=attach(connection, request.user_id, placed, is_admin=request.is_admin, within=request.within),
            )
        _require_right(connection, request, found)
        totals.require_rows_in(connection, request.thread_id, limits, seq, added=1)
        if found.active_run_id is None:
            _require_run(limits, found.runs_at_once)
        if found.active_run_id is None and not terms.has_slot:
            self._require_room(connection)
        found = as_steered(connection, request, found)
        agent = self._agent_for(connection, request, found)
        self._contexts.budgets.require_left(connection, _purpose_of(request, agent))
        if files:
            if (unprepared := self._contexts.requests.find_unprepared(agent)) is not None:
                raise _NeedsModel(*unprepared)
            pairs = zip(request.parts, placed, strict=True)
            attached = [(part, loc) for part, (_, loc) in pairs if isinstance(part, FilePart)]
            self._contexts.requests.check_files(agent, attached)
        if _is_judged(request, agent):
            verdict = request.verdict
            if verdict is None or (verdict.agent_id, verdict.version) != (agent["id"], agent["version"]):
                raise _NeedsVerdict(agent, request.parts)
            request = replace(request, parts=[verdict.message.as_judged(part) for part in request.parts])
        admitted = self._store(connection, request, found, terms, seq)
        if request.idempotency_key is not None:
            other = idempotency.remember(
                connection,
                request.user_id,
                request.idempotency_key,
                request.fingerprint,
                run_id=admitted.run["id"],
                within_s=request.key_within_s,
                message_id=admitted.message_id,
            )
            if other is not None:
                # The thread was locked when the key was looked up, so that this is a request to another thread.
                raise IdempotencyKeyReused
        return admitted

    def _agent_for(self, connection: Connection, request: AdmissionRequest, found: ThreadAccess) -> Agent:
        """The agent as it is for this message. Raises `InvalidRequest`, `PermissionDenied`."""
        own = self._contexts.agents.get(connection, found.agent_id, found.agent_version)
        _check_names(request.client_tools, own)
        if not request.overrides:
            return own
        require_overriding(found, request)
        agent = overridden(own, request.overrides)
        if "provider" in request.overrides or "model" in request.overrides:
            try:
                self._contexts.models.check_model(agent["provider"], agent["model"])
            except InvalidRequest as error:
                raise InvalidRequest(str(error), loc=("overrides", *error.loc)) from error
        return agent

    def _require_room(self, connection: Connection) -> None:
        slots = self._executor.slots
        if runs.count_held(connection) >= slots.max_held:
            text = f"{slots.limit} runs are under way in this process, and {slots.max_held} wait."
            raise Overloaded(text, retry_after_s=_RETRY_AFTER_S)

    def _store(
        self, connection: Connection, request: AdmissionRequest, found: ThreadAccess, terms: _Terms, seq: int
    ) -> Admitted:
        new = new_run(request, found)
        if request.retry_of is not None:
            new = new_retry(connection, new, request, found)
        if found.active_run_id is None:
            return self._start(connection, request, new, terms, seq=seq)
        active = runs.get_row(connection, request.thread_id, found.active_run_id)
        gives_way = request.retry_of is None and run_gives_way(connection, active)
        if request.on_busy == "reject" and not gives_way:
            raise ThreadBusy(run_id=found.active_run_id)
        thread_log.give_back(connection, request.thread_id, 1)
        queued = runs.list_queued(connection, request.thread_id)
        if gives_way and queued and request.on_busy == "reject":
            raise ThreadBusy(run_id=queued[0]["id"])
        if request.on_busy != "interrupt":
            require_place(active, queued)
        if request.on_busy == "steer" and steering.takes_messages(active) and not gives_way:
            return steer(connection, request, new, active)
        if gives_way and queued and request.on_busy != "interrupt":
            # The queue goes on; this message is its last.
            admitted = enqueue(connection, request, new, queued)
            end_unowned(connection, active)
            started = start_next(connection, request.thread_id, terms.lease)
            return replace(admitted, follow_up=FollowUp(started, "queued"))
        if request.on_busy in ("queue", "steer") and not gives_way:
            return enqueue(connection, request, new, queued)
        if active["status"] != "running":
            # No process executes a waiting or held run, so it ends here and the thread is free.
            if active["status"] == "waiting":
                _require_run(self._limits.of(request.user_id, is_admin=request.is_admin), found.runs_at_once)
                end_unowned(connection, active)
            for row in queued:
                end_interrupted(connection, row)
            seq = thread_log.reserve(connection, request.thread_id, 1)
            return self._start(connection, request, new, terms, seq=seq)
        # What waits ends after the answer that is cut, so that the history is in the order of what was said.
        runs.request_cancel(connection, active["id"], *(row["id"] for row in queued))
        admitted = enqueue(connection, request, new, queued)
        return replace(admitted, follow_up=FollowUp(cancel_run_id=active["id"]))

    def _start(
        self, connection: Connection, request: AdmissionRequest, new: RunValues, terms: _Terms, *, seq: int
    ) -> Admitted:
        """Begin the run, or hold it."""
        if not terms.has_slot:
            thread_log.give_back(connection, request.thread_id, 1)
            return hold(connection, request, new)
        retried = request.retry_of is not None
        with together(connection):
            message = None if retried else insert_user_message(connection, request, new, seq=seq)
            row = runs.insert_run(connection, {**new, **running_values(terms.lease), "started_at": new["created_at"]})
            if message is None:
                send_together(connection)
                entry = retrying.begin(connection, row)
            else:
                entry = started_entry(row, message)
            thread_log.write(connection, request.thread_id, seq, [entry])
        record_findings(connection, request, new["id"])
        run = owned_run(row, reset_seq=seq)
        inputs = self._preparer.reader.read_early(connection, run)
        return Admitted(runs.to_public(row), row["user_message_id"], FollowUp(run, inputs=inputs), user_message=message)


def _require_right(connection: Connection, request: AdmissionRequest, found: ThreadAccess) -> None:
    """Raises `PermissionDenied`, `AgentDeleted`, and first of all `RunNotFound` where there is no run to be retried."""
    if request.retry_of is not None:
        runs.get_row(connection, request.thread_id, request.retry_of)
    require_to_send(found, is_admin=request.is_admin)


def _is_judged(request: AdmissionRequest, agent: Agent) -> bool:
    """Whether input guardrails judge the message. That of a retry is in the history, as they allowed it."""
    if request.retry_of is not None or not agent["guardrails"]:
        return False
    return guards_key(agent["guardrails"], "input") is not None


def _find_replayed(connection: Connection, request: AdmissionRequest) -> Admitted | None:
    """The run that this very request made earlier.

    Raises `IdempotencyKeyReused` where another request used the key.
    """
    if request.idempotency_key is None or request.key_within_s == 0:
        return None
    found = idempotency.find(
        connection, request.user_id, request.idempotency_key, request.fingerprint, within_s=request.key_within_s
    )
    if found is None or found.run_id is None:
        return None
    row = runs.get_row(connection, request.thread_id, found.run_id)
    return Admitted(runs.to_public(row), found.message_id or row["user_message_id"], replayed=True)


def _purpose_of(request: AdmissionRequest, agent: Agent) -> CallPurpose:
    return CallPurpose.of_agent(agent, request.thread_id, user_id=request.user_id, by_admin=request.is_admin)


def _check_names(tools: Sequence[ToolDefinition], agent: Agent) -> None:
    """Raises `InvalidRequest` for a tool of the client that has the name of one of the agent's."""
    taken = approvals_by_name(agent["tools"] or ()) if tools else {}
    for index, each in enumerate(tools):
        if each.name in taken:
            raise InvalidRequest("The agent has a tool of this name.", loc=("tools", index, "name"))


def _visible_thread(connection: Connection, request: AdmissionRequest, *, count_runs: bool) -> ThreadAccess:
    found = find_on_thread(
        connection,
        request.user_id,
        request.thread_id,
        is_admin=request.is_admin,
        within=request.within,
        count_runs=count_runs,
    )
    if found is None:
        raise ThreadNotFound
    return found


def _counts_exactly(limits: UserLimits) -> bool:
    return limits["runs"] is not None and limits["runs"] <= _MOST_COUNTED_EXACTLY


def _require_run(limits: UserLimits, under_way: int) -> None:
    """Raises `QuotaExceeded` for one more run under way. A run that waits for its thread or for a person is not."""
    most = limits["runs"]
    if most is not None and under_way >= most:
        raise QuotaExceeded("runs", used=under_way, limit=most, retry_after_s=_RETRY_AFTER_S)


def _placed_parts(request: AdmissionRequest) -> list[tuple[TextPart | FilePart, Loc]]:
    """The message's parts, then its attachments, each with its place in the request's body."""
    return [
        *((part, ("content", index, "file_id")) for index, part in enumerate(request.parts)),
        *((FilePart(each, "", "", 0), ("attachments", index)) for index, each in enumerate(request.attachments)),
    ]
