"""Letting a message into a thread: one transaction decides on access, idempotency and `on_busy`, and stores the
message.

The thread is locked first, so that what is decided on one replica holds on all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import Connection

from ai_agents.auth.files import Loc, attach
from ai_agents.auth.roles import ThreadAccess, access, may_send
from ai_agents.core.exceptions import (
    AgentDeleted,
    IdempotencyKeyReused,
    PermissionDenied,
    QueueFull,
    ThreadBusy,
    ThreadNotFound,
)
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.rows import Message, Run, RunRow
from ai_agents.core.types import FilePart, TextPart
from ai_agents.runner.input_guarding import JudgeFirst, Verdict
from ai_agents.runner.recording import end_unowned, started_entry, trigger_entries
from ai_agents.store import idempotency, runs, thread_log
from ai_agents.store.messages import insert_message
from ai_agents.store.runs import OwnedRun, owned_run
from ai_agents.store.thread_log import Entry

OnBusy = Literal["reject", "queue", "interrupt"]
# Raises `UnsupportedAttachment` for a file that this version of an agent cannot be given.
CheckFiles = Callable[[Connection, str, int, Sequence[tuple[FilePart, Loc]]], None]
# Whether this version of an agent has guardrails for what comes in.
HasGuards = Callable[[Connection, str, int], bool]
# How many messages may wait in one thread.
MAX_QUEUED = 100


@dataclass(frozen=True, slots=True)
class Admission:
    """A message that asks to be let in.

    `owner` is the process that would run it, under a lease of `lease_s` seconds. `attachments` are ids of files that
    come after the parts. `verdict` is what the agent's guardrails said of this very message, where it has some.
    """

    thread_id: str
    user_id: str
    parts: Sequence[TextPart | FilePart]
    owner: str
    lease_s: float
    metadata: Mapping[str, Any]
    on_busy: OnBusy = "reject"
    idempotency_key: str | None = None
    fingerprint: str = ""
    is_admin: bool = False
    attachments: Sequence[str] = ()
    check_files: CheckFiles | None = None
    has_guards: HasGuards | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """What became of it. `owned` is there where the run starts at once; `interrupts` is a run that has to be
    stopped first.

    `replayed` says that the idempotency key had been used for this very request: the run is the one of then.
    """

    run: Run
    owned: OwnedRun | None = None
    user_message: Message | None = None
    interrupts: str | None = None
    replayed: bool = False


def admit(connection: Connection, asked: Admission) -> Admitted:
    """Decide, and store the message and its run.

    Raises `ThreadNotFound`, `InvalidRequest` for a file that is not there for this user, `UnsupportedAttachment`,
    `PermissionDenied`, `AgentDeleted`, `ThreadBusy`, `QueueFull`, `IdempotencyKeyReused`, and `JudgeFirst` where the
    agent has guardrails that have not judged it; nothing is stored then.
    """
    # The number of the run's first row, taken ahead: that locks the thread, too.
    seq = thread_log.reserve(connection, asked.thread_id, 1)
    if (earlier := find_replayed(connection, asked)) is not None:
        thread_log.give_back(connection, asked.thread_id, 1)
        return earlier
    found = _visible_thread(connection, asked)
    places = _places(asked)
    if files := any(isinstance(part, FilePart) for part, _ in places):
        asked = replace(asked, parts=attach(connection, asked.user_id, places, is_admin=asked.is_admin))
    _require_sending(found, asked)
    if files and asked.check_files is not None:
        attached = [
            (part, loc) for part, (_, loc) in zip(asked.parts, places, strict=True) if isinstance(part, FilePart)
        ]
        asked.check_files(connection, found.agent_id, found.agent_version, attached)
    asked = _as_judged(connection, asked, found)
    new = _NewRun(
        agent_id=found.agent_id,
        agent_version=found.agent_version,
        run_id=new_id(),
        message_id=new_id(),
        now=utc_now(),
    )
    if found.active_run_id is None:
        admitted = _start(connection, asked, new, seq=seq)
    elif asked.on_busy == "reject":
        raise ThreadBusy(run_id=found.active_run_id)
    else:
        thread_log.give_back(connection, asked.thread_id, 1)
        active = runs.get_row(connection, asked.thread_id, found.active_run_id)
        admitted = _enqueue(connection, asked, new, active)
    if asked.idempotency_key is not None:
        other = idempotency.remember(
            connection, asked.user_id, asked.idempotency_key, asked.fingerprint, run_id=admitted.run["id"]
        )
        if other is not None:
            # The thread's lock was held when the key was looked up, so the same request cannot have come between.
            raise IdempotencyKeyReused
    return admitted


def find_replayed(connection: Connection, asked: Admission) -> Admitted | None:
    """The run that this very request made earlier.

    Raises `IdempotencyKeyReused` where the key was another request's.
    """
    if asked.idempotency_key is None:
        return None
    found = idempotency.find(connection, asked.user_id, asked.idempotency_key, asked.fingerprint)
    if found is None or found.run_id is None:
        return None
    return Admitted(run=runs.to_public(runs.get_row(connection, asked.thread_id, found.run_id)), replayed=True)


def _as_judged(connection: Connection, asked: Admission, found: ThreadAccess) -> Admission:
    """What asks to be let in, with its files as the guardrails want them. Raises `JudgeFirst`."""
    agent_id, version = found.agent_id, found.agent_version
    if asked.has_guards is None or not asked.has_guards(connection, agent_id, version):
        return asked
    if asked.verdict is None or not asked.verdict.is_of(agent_id, version):
        raise JudgeFirst(agent_id, version, asked.parts)
    return replace(asked, parts=[asked.verdict.message.as_judged(part) for part in asked.parts])


@dataclass(frozen=True, slots=True)
class _NewRun:
    agent_id: str
    agent_version: int
    run_id: str
    message_id: str
    now: str


def _visible_thread(connection: Connection, asked: Admission) -> ThreadAccess:
    found = access(connection, asked.user_id, thread_id=asked.thread_id)
    if found is None or (found.thread_role is None and not asked.is_admin):
        raise ThreadNotFound
    return found


def _require_sending(found: ThreadAccess, asked: Admission) -> None:
    if not asked.is_admin and not may_send(found.thread_role, found.agent_role):
        raise PermissionDenied("Sending needs editor on the thread and viewer on its agent.")
    if found.agent_deleted:
        raise AgentDeleted


def _places(asked: Admission) -> list[tuple[TextPart | FilePart, Loc]]:
    """The message's parts, its attachments among them, each with its place in the request."""
    return [
        *((part, ("content", index, "file_id")) for index, part in enumerate(asked.parts)),
        *((FilePart(each, "", "", 0), ("attachments", index)) for index, each in enumerate(asked.attachments)),
    ]


def _start(connection: Connection, asked: Admission, new: _NewRun, *, seq: int) -> Admitted:
    message = _insert_user_message(connection, asked, new, seq=seq)
    row = _insert_run(
        connection,
        asked,
        new,
        {
            "status": "running",
            "lease_owner": asked.owner,
            "lease_s": asked.lease_s,
            "started_at": new.now,
        },
    )
    thread_log.write(connection, asked.thread_id, seq, [started_entry(row, message)])
    _tell_of_verdict(connection, asked, new.run_id)
    return Admitted(run=runs.to_public(row), owned=owned_run(row, reset_seq=seq), user_message=message)


def _enqueue(connection: Connection, asked: Admission, new: _NewRun, active: RunRow) -> Admitted:
    queued = runs.list_queued(connection, asked.thread_id)
    interrupts: str | None = None
    if asked.on_busy == "interrupt":
        for row in queued:
            end_unowned(connection, row)
        queued = []
        if active["status"] == "waiting":
            # Nobody executes a waiting run, so it ends here and the thread is free.
            end_unowned(connection, active)
            return _start(connection, asked, new, seq=thread_log.reserve(connection, asked.thread_id, 1))
        runs.request_cancel(connection, active["id"])
        interrupts = active["id"]
    if len(queued) >= MAX_QUEUED:
        raise QueueFull(f"{MAX_QUEUED} messages wait in this thread already.")
    position = (queued[-1]["queue_position"] or 0) + 1 if queued else 1
    message = _insert_user_message(connection, asked, new, seq=None)
    row = _insert_run(connection, asked, new, {"status": "queued", "queue_position": position})
    thread_log.append(connection, asked.thread_id, Entry("run.queued", new.run_id, {"position": len(queued) + 1}))
    _tell_of_verdict(connection, asked, new.run_id)
    return Admitted(run=runs.to_public(row), user_message=message, interrupts=interrupts)


def _tell_of_verdict(connection: Connection, asked: Admission, run_id: str) -> None:
    if asked.verdict is not None and asked.verdict.message.triggers:
        thread_log.append(connection, asked.thread_id, *trigger_entries(run_id, asked.verdict.message.triggers))


def _insert_user_message(connection: Connection, asked: Admission, new: _NewRun, *, seq: int | None) -> Message:
    return insert_message(
        connection,
        message_id=new.message_id,
        thread_id=asked.thread_id,
        run_id=new.run_id,
        seq=seq,
        role="user",
        parts=asked.parts,
        status="queued" if seq is None else "completed",
        user_id=asked.user_id,
        usage=None,
        metadata=asked.metadata,
        created_at=new.now,
    )


def _insert_run(connection: Connection, asked: Admission, new: _NewRun, state: Mapping[str, Any]) -> RunRow:
    values: dict[str, Any] = {
        "id": new.run_id,
        "thread_id": asked.thread_id,
        "agent_id": new.agent_id,
        "agent_version": new.agent_version,
        "user_id": asked.user_id,
        "attempt": 1,
        "user_message_id": new.message_id,
        # The id of the answer is stored before its first delta can leave.
        "message_id": new_id(),
        "fence": 1,
        "cancel_requested": False,
        "created_at": new.now,
    }
    return runs.insert_run(connection, {**values, **state})
