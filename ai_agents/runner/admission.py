"""Admission of a message to a thread: one transaction decides on access, idempotency and `on_busy`, and stores it.

The thread is locked first, so that a decision on one replica holds on all of them. Input guardrails judge a message
between two transactions.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from sqlalchemy import Connection

from ai_agents.auth.files import attach
from ai_agents.auth.limits import Limits
from ai_agents.auth.roles import find_on_thread, may_on_agent
from ai_agents.auth.runs import require_to_send
from ai_agents.context.contexts import Contexts
from ai_agents.context.purposes import CallPurpose
from ai_agents.core.exceptions import (
    IdempotencyKeyReused,
    InvalidRequest,
    Overloaded,
    PermissionDenied,
    QueueFull,
    QuotaExceeded,
    ThreadBusy,
    ThreadNotFound,
)
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.limits import UserLimits
from ai_agents.core.overrides import FOR_EDITORS, overridden
from ai_agents.core.parts import tools_to_stored
from ai_agents.core.rows import Agent, Message, Run, RunOverrides
from ai_agents.core.scopes import AgentScope
from ai_agents.core.table_rows import RunRow, RunValues, SteeredMessage
from ai_agents.core.types import FilePart, Loc, TextPart, ToolDefinition
from ai_agents.core.user_locks import UserLocks
from ai_agents.guardrails.registry import guards_key
from ai_agents.providers.base import Provider
from ai_agents.runner import retrying, steering
from ai_agents.runner.handle import DatabaseHandle
from ai_agents.runner.input_guarding import JudgedMessage, Verdict, judge_message, judge_overrides, judge_tools
from ai_agents.runner.ownership import NO_FOLLOW_UP, FollowUp, NewLease
from ai_agents.runner.preparation import TurnPreparer
from ai_agents.runner.recording import (
    end_interrupted,
    end_unowned,
    finding_entries,
    running_values,
    start_next,
    started_entry,
)
from ai_agents.store import idempotency, runs, thread_log, tool_calls, totals
from ai_agents.store.messages import insert_message
from ai_agents.store.roles import ThreadAccess
from ai_agents.store.runs import owned_run
from ai_agents.store.thread_log import Entry
from ai_agents.tools.registry import approvals_by_name

OnBusy = Literal["reject", "queue", "interrupt", "steer"]
# How many messages may wait in one thread.
MAX_QUEUED = 100
# Long enough that clients do not crowd a full service.
_RETRY_AFTER_S = 5
# Users with a higher limit of runs are not admitted one after the other, which would cost them more than it is worth:
# they may pass it by what is admitted in the same moment.
_MOST_COUNTED_EXACTLY = 200


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """A message for a thread, and how to treat it.

    `attachments` are ids of files that come after the parts. `verdict` is what the agent's input guardrails allow of
    this very message. `key_id` is the API key or token with which it was sent. `key_within_s`: see `MessageOptions`.
    `client_tools` and `overrides` are checked already. With `retry_of` there is no new message: a new run answers that
    of this run.
    Nothing outside `within` is seen: not the thread, and no file.
    """

    thread_id: str
    user_id: str
    parts: Sequence[TextPart | FilePart]
    metadata: Mapping[str, Any] | None = None
    on_busy: OnBusy = "reject"
    idempotency_key: str | None = None
    fingerprint: str = ""
    key_within_s: float | None = None
    is_admin: bool = False
    within: AgentScope | None = None
    key_id: str | None = None
    attachments: Sequence[str] = ()
    verdict: Verdict | None = None
    client_tools: Sequence[ToolDefinition] = ()
    overrides: RunOverrides | None = None
    retry_of: str | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """The run of an admitted message, or the run that it joins, and the message itself.

    To follow up: the run, where it starts at once, or another run that has to be stopped first.
    `replayed` says that the idempotency key was used before for this very request: the run is the one of then.
    `is_held` says that the run waits until a process has a slot for it.
    """

    run: Run
    message_id: str
    follow_up: FollowUp = NO_FOLLOW_UP
    user_message: Message | None = None
    replayed: bool = False
    is_held: bool = False


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
        totals.require_rows(limits, seq, used=seq - 1)
        if found.active_run_id is None:
            _require_run(limits, found.runs_at_once)
        if found.active_run_id is None and not terms.has_slot:
            self._require_room(connection)
        found = _as_steered(connection, request, found)
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
        _require_overriding(found, request)
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
        new = _new_run(request, found)
        if request.retry_of is not None:
            new = _new_retry(connection, new, request, found)
        if found.active_run_id is None:
            return self._start(connection, request, new, terms, seq=seq)
        active = runs.get_row(connection, request.thread_id, found.active_run_id)
        gives_way = request.retry_of is None and _gives_way(connection, active)
        if request.on_busy == "reject" and not gives_way:
            raise ThreadBusy(run_id=found.active_run_id)
        thread_log.give_back(connection, request.thread_id, 1)
        queued = runs.list_queued(connection, request.thread_id)
        if gives_way and queued and request.on_busy == "reject":
            raise ThreadBusy(run_id=queued[0]["id"])
        if request.on_busy != "interrupt":
            _require_place(active, queued)
        if request.on_busy == "steer" and steering.takes_messages(active) and not gives_way:
            return _steer(connection, request, new, active)
        if gives_way and queued and request.on_busy != "interrupt":
            # The queue goes on; this message is its last.
            admitted = _enqueue(connection, request, new, queued)
            end_unowned(connection, active)
            started = start_next(connection, request.thread_id, terms.lease)
            return replace(admitted, follow_up=FollowUp(started, "queued"))
        if request.on_busy in ("queue", "steer") and not gives_way:
            return _enqueue(connection, request, new, queued)
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
        admitted = _enqueue(connection, request, new, queued)
        return replace(admitted, follow_up=FollowUp(cancel_run_id=active["id"]))

    def _start(
        self, connection: Connection, request: AdmissionRequest, new: RunValues, terms: _Terms, *, seq: int
    ) -> Admitted:
        """Begin the run, or hold it."""
        if not terms.has_slot:
            thread_log.give_back(connection, request.thread_id, 1)
            return _hold(connection, request, new)
        retried = request.retry_of is not None
        message = None if retried else _insert_user_message(connection, request, new, seq=seq)
        row = runs.insert_run(connection, {**new, **running_values(terms.lease), "started_at": new["created_at"]})
        entry = retrying.begin(connection, row) if message is None else started_entry(row, message)
        thread_log.write(connection, request.thread_id, seq, [entry])
        _record_findings(connection, request, new["id"])
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


def _new_run(request: AdmissionRequest, found: ThreadAccess) -> RunValues:
    new: RunValues = {
        "id": new_id(),
        "thread_id": request.thread_id,
        "agent_id": found.agent_id,
        "agent_version": found.agent_version,
        "user_id": request.user_id,
        "attempt": 1,
        "user_message_id": new_id(),
        # The answer's id is stored before its first delta can leave.
        "message_id": new_id(),
        "fence": 1,
        "cancel_requested": False,
        "key_id": request.key_id,
        "by_admin": request.is_admin,
        "created_at": utc_now(),
    }
    if request.client_tools:
        new["client_tools"] = tools_to_stored(request.client_tools)
    if request.overrides:
        new["overrides"] = request.overrides
    return new


def _require_overriding(found: ThreadAccess, request: AdmissionRequest) -> None:
    """Raises `PermissionDenied` for a user who may not say these things otherwise than the agent."""
    wanted = [name for name in FOR_EDITORS if name in (request.overrides or ())]
    if wanted and not request.is_admin and not may_on_agent("update", found.agent_role):
        raise PermissionDenied(f"To override {wanted[0]} takes editor on the agent.")


def _new_retry(connection: Connection, new: RunValues, request: AdmissionRequest, found: ThreadAccess) -> RunValues:
    """A new run that answers the message of another one anew, with the tools of the client and overrides of that one.

    Raises `ThreadBusy`, `Conflict` unless that run is the thread's last one, and `PermissionDenied` for a user who may
    not override so.
    """
    if found.active_run_id is not None:
        raise ThreadBusy(run_id=found.active_run_id)
    retried = runs.get_row(connection, request.thread_id, request.retry_of or "")
    retrying.require_last(connection, retried)
    asked = retrying.find_exchange(connection, retried).asked
    values: RunValues = {**new, "retry_of": request.retry_of or "", "user_message_id": asked[0]["id"]}
    if retried["client_tools"]:
        values["client_tools"] = retried["client_tools"]
    if retried["overrides"]:
        _require_overriding(found, replace(request, overrides=retried["overrides"]))
        values["overrides"] = retried["overrides"]
    return values


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


def _require_place(active: RunRow, queued: Sequence[RunRow]) -> None:
    """Raises `QueueFull` for one more message that waits in the thread, to be answered or to join the active run."""
    if len(queued) + steering.count_waiting(active) >= MAX_QUEUED:
        raise QueueFull(f"{MAX_QUEUED} messages wait in this thread already.")


def _enqueue(connection: Connection, request: AdmissionRequest, new: RunValues, queued: Sequence[RunRow]) -> Admitted:
    """Let the run wait for its thread."""
    position = (queued[-1]["queue_position"] or 0) + 1 if queued else 1
    ahead = sum(not row["cancel_requested"] for row in queued)
    return _insert_queued(connection, request, {**new, "queue_position": position}, ahead + 1)


def _as_steered(connection: Connection, request: AdmissionRequest, found: ThreadAccess) -> ThreadAccess:
    """For a message that will join a run: the agent's version is the run's, whose guardrails judge the message."""
    if request.on_busy != "steer" or found.active_run_id is None:
        return found
    active = runs.get_row(connection, request.thread_id, found.active_run_id)
    if not steering.takes_messages(active) or _gives_way(connection, active):
        return found
    return replace(found, agent_version=active["agent_version"])


def _gives_way(connection: Connection, active: RunRow) -> bool:
    """Whether the run waits for nothing but results of the client: a new message ends it, as the user talks on."""
    return active["status"] == "waiting" and tool_calls.wait_for_client_alone(connection, active["id"])


def _steer(connection: Connection, request: AdmissionRequest, new: RunValues, active: RunRow) -> Admitted:
    """Let the message join the run that is under way, at its next boundary between two model calls."""
    message = _insert_user_message(connection, request, {**new, "id": active["id"]}, seq=None)
    sent: SteeredMessage = {
        "message_id": message["id"],
        "user_id": request.user_id,
        "key_id": request.key_id,
        "by_admin": request.is_admin,
        "client_tools": new.get("client_tools"),
        "overrides": request.overrides,
    }
    row = steering.join(connection, active, sent)
    _record_findings(connection, request, active["id"])
    return Admitted(runs.to_public(row), message["id"], user_message=message)


def _hold(connection: Connection, request: AdmissionRequest, new: RunValues) -> Admitted:
    """Let the run wait for a process; its position is that among all that do."""
    position = runs.count_held(connection) + 1
    held = _insert_queued(connection, request, {**new, "queue_position": runs.HELD_POSITION}, position)
    return replace(held, is_held=True)


def _insert_queued(connection: Connection, request: AdmissionRequest, new: RunValues, position: int) -> Admitted:
    message = None if request.retry_of is not None else _insert_user_message(connection, request, new, seq=None)
    row = runs.insert_run(connection, {**new, "status": "queued"})
    thread_log.append(connection, request.thread_id, Entry("run.queued", new["id"], {"position": position}))
    _record_findings(connection, request, new["id"])
    return Admitted(runs.to_public(row), row["user_message_id"], user_message=message)


def _record_findings(connection: Connection, request: AdmissionRequest, run_id: str) -> None:
    if request.verdict is not None and request.verdict.message.findings:
        thread_log.append(connection, request.thread_id, *finding_entries(run_id, request.verdict.message.findings))


def _insert_user_message(
    connection: Connection, request: AdmissionRequest, new: RunValues, *, seq: int | None
) -> Message:
    return insert_message(
        connection,
        message_id=new["user_message_id"],
        thread_id=request.thread_id,
        run_id=new["id"],
        seq=seq,
        role="user",
        parts=request.parts,
        status="queued" if seq is None else "completed",
        user_id=request.user_id,
        metadata=request.metadata,
        created_at=new["created_at"],
    )
