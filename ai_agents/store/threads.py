"""Threads: their own fields, and how they are created and deleted. What happens in a thread is in its log."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from ai_agents.core import json
from ai_agents.core.events import event_data
from ai_agents.core.exceptions import (
    AgentDeleted,
    AgentNotFound,
    InvalidRequest,
    MessageNotFound,
    PreconditionFailed,
    ThreadNotFound,
)
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.limits import NO_LIMITS, UserLimits
from ai_agents.core.rows import Thread, ThreadChanges
from ai_agents.core.types import FilePart, LogRow
from ai_agents.store import initial_messages, roles, summaries, thread_log, totals
from ai_agents.store.database import Store, check_ids, reading, writing
from ai_agents.store.messages import get_message
from ai_agents.store.models import AgentTable, ThreadTable
from ai_agents.store.thread_lists import THREADS, list_threads, to_fields, to_public
from ai_agents.store.thread_log import Entry

_GET = THREADS.where(ThreadTable.id == bindparam("thread_id"))


def create_thread(
    connection: Connection,
    agent_id: str,
    *,
    title: str | None = None,
    summary: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    messages: Sequence[Mapping[str, Any]] = (),
    known_files: Mapping[str, FilePart] | None = None,
    owner_id: str | None = None,
    limits: UserLimits = NO_LIMITS,
    expires_at: str | None = None,
    thread_id: str | None = None,
) -> Thread:
    """Write a thread with its owner's role and its initial messages. Returns the thread. `thread_id` is new to all.

    A `summary` is about what came before these messages, so it covers none of them. `known_files` are files of the
    messages about which more is known than is stored with the files. The thread counts for its owner, whose `limits`
    are these; a temporary one, which `expires_at` this time, does not.
    Raises `AgentNotFound` (also for a deleted agent), `InvalidRequest`, `QuotaExceeded`.
    """
    # Held, since an agent without threads is removed when it is deleted.
    agent = select(AgentTable.id).where(AgentTable.id == agent_id, AgentTable.deleted_at.is_(None))
    if connection.execute(agent.with_for_update(read=True, key_share=True)).one_or_none() is None:
        raise AgentNotFound
    payer = owner_id if expires_at is None else None
    totals.require_room(connection, payer, limits, {"threads": 1})
    totals.require_rows(limits, len(messages))
    title, summary = _checked_text(title, "title"), _checked_text(summary, "summary")
    drafts = initial_messages.from_messages(connection, messages, user_id=owner_id, known_files=known_files)
    thread_id = insert_thread(
        connection,
        {"agent_id": agent_id, "title": title, "title_by": title and "user", "metadata": dict(metadata or {})},
        drafts,
        owner_id=owner_id,
        expires_at=expires_at,
        thread_id=thread_id,
    )
    if summary:
        summaries.insert_summary(connection, thread_id, summary, covers_through_seq=0)
    totals.add(connection, payer, limits, {"threads": 1})
    return get_thread(connection, thread_id)


def insert_thread(
    connection: Connection,
    values: Mapping[str, Any],
    drafts: Sequence[initial_messages.MessageDraft],
    *,
    owner_id: str | None,
    expires_at: str | None = None,
    thread_id: str | None = None,
) -> str:
    """Write a new thread, its owner's role, and its initial messages with their log rows. Returns its id.

    Unless it expires, it counts for its owner, which the caller adds to the owner's total.
    """
    thread_id, now = thread_id or new_id(), utc_now()
    row = {"id": thread_id, **values, "last_seq": len(drafts), "version": 1, "created_at": now, "updated_at": now}
    hour = thread_log.activity_hour(now)
    row |= {"last_activity_at": now, "activity_hour": hour, "log_since_hour": hour}
    row["counted_for"] = totals.NO_USER if owner_id is None or expires_at is not None else owner_id
    if expires_at is not None:
        row["expires_at"] = expires_at
    connection.execute(insert(ThreadTable), row)
    if owner_id is not None:
        roles.insert_role(connection, user_id=owner_id, role="owner", resource_type="thread", resource_id=thread_id)
    initial_messages.insert(connection, thread_id, drafts)
    return thread_id


def get_with_version(connection: Connection, thread_id: str) -> tuple[Thread, int]:
    """A thread as clients see it, and the number that rises with each change of it. Raises `ThreadNotFound`."""
    row = connection.execute(_GET, {"thread_id": thread_id}).mappings().one_or_none()
    if row is None:
        raise ThreadNotFound
    return to_public(row), row["version"]


def find_agent_id(connection: Connection, thread_id: str) -> str | None:
    """The agent of a thread; None where there is no such thread."""
    return connection.scalar(select(ThreadTable.agent_id).where(ThreadTable.id == thread_id))


def get_thread(connection: Connection, thread_id: str) -> Thread:
    """A thread as clients see it. Raises `ThreadNotFound`."""
    return get_with_version(connection, thread_id)[0]


def update_thread(
    connection: Connection,
    thread_id: str,
    changes: ThreadChanges,
    *,
    expected_version: int | None = None,
    limits: UserLimits = NO_LIMITS,
) -> tuple[Thread, int]:
    """Replace these of `title`, `summary`, `metadata`, and write a log row if that changes anything.

    Returns the thread as clients see it, and its version. `limits` are those of the user who changes it.
    Raises `ThreadNotFound`, `PreconditionFailed` if the thread is at another version, `InvalidRequest`,
    `QuotaExceeded`.
    """
    unknown = changes.keys() - ThreadChanges.__annotations__.keys()
    if unknown:
        raise InvalidRequest("A thread has no such field to change.", loc=(min(unknown),))
    thread_log.lock(connection, thread_id)
    thread, version = get_with_version(connection, thread_id)
    if expected_version is not None and version != expected_version:
        raise PreconditionFailed(f"The thread is at version {version} now.")
    values = _changed_values(connection, thread, changes)
    if values is None:
        return thread, version
    values |= {"version": version + 1, "updated_at": utc_now()}
    connection.execute(update(ThreadTable).where(ThreadTable.id == thread_id).values(values))
    thread = get_thread(connection, thread_id)
    seq = thread_log.append(connection, thread_id, Entry("thread.updated", facts={"thread": to_fields(thread)}))
    totals.require_rows_in(connection, thread_id, limits, seq, added=1)
    return thread, version + 1


def set_generated_title(connection: Connection, thread_id: str, title: str) -> bool:
    """Give a thread without a title this one, which a job made. A person's title stays. Returns whether it was set.

    Raises `ThreadNotFound`.
    """
    thread_log.lock(connection, thread_id)
    untitled = (ThreadTable.id == thread_id, ThreadTable.title.is_(None))
    values = {"title": title, "title_by": "job", "version": ThreadTable.version + 1, "updated_at": utc_now()}
    if not connection.execute(update(ThreadTable).where(*untitled).values(values)).rowcount:
        return False
    thread = get_thread(connection, thread_id)
    thread_log.append(connection, thread_id, Entry("thread.updated", facts={"thread": to_fields(thread)}))
    return True


def fork_thread(
    connection: Connection,
    thread_id: str,
    message_id: str,
    *,
    owner_id: str | None = None,
    limits: UserLimits = NO_LIMITS,
) -> Thread:
    """A new thread with the history of this one up to and including a message. It counts for its owner.

    Raises `ThreadNotFound`, `MessageNotFound` (also for a queued message), `AgentDeleted`, `QuotaExceeded`.
    """
    # The lock keeps the thread. Messages may be added meanwhile, but the history before a message never changes.
    source = select(
        ThreadTable.agent_id, ThreadTable.title, ThreadTable.title_by, ThreadTable.meta, AgentTable.deleted_at
    ).join(AgentTable)
    held = source.where(ThreadTable.id == thread_id).with_for_update(read=True, key_share=True, of=ThreadTable)
    thread = connection.execute(held).mappings().one_or_none()
    if thread is None:
        raise ThreadNotFound
    message = get_message(connection, thread_id, message_id)
    if message["seq"] is None:
        raise MessageNotFound
    if thread["deleted_at"] is not None:
        raise AgentDeleted
    totals.require_room(connection, owner_id, limits, {"threads": 1})
    drafts = initial_messages.from_history(connection, thread_id, through_seq=message["seq"])
    totals.require_rows(limits, len(drafts))
    values = {name: thread[name] for name in ("agent_id", "title", "title_by", "metadata")}
    new_thread_id = insert_thread(connection, values, drafts, owner_id=owner_id)
    if (summary := summaries.newest(connection, thread_id, through_seq=message["seq"])) is not None:
        # The copies have new numbers, without the log rows between the messages.
        covered = sum(1 for copied in drafts if copied.from_seq <= summary.covers_through_seq)
        summaries.insert_summary(connection, new_thread_id, summary.text, covers_through_seq=covered)
    totals.add(connection, owner_id, limits, {"threads": 1})
    return get_thread(connection, new_thread_id)


def delete_thread(connection: Connection, thread_id: str) -> None:
    """Remove a thread with everything in it: runs, messages, log, roles. Raises `ThreadNotFound`.

    Its log goes too, so `thread.deleted` is published to the readers and is no row.
    """
    thread_log.lock(connection, thread_id)
    row = connection.execute(_GET, {"thread_id": thread_id}).mappings().one()
    payer = totals.payer_of_thread(connection, thread_id)
    if row["expires_at"] is None:
        # Those who follow their threads were told of no temporary one.
        roles.note_deleted(connection, thread_id)
    roles.remove_all(connection, "thread", thread_id)
    connection.execute(delete(ThreadTable).where(ThreadTable.id == thread_id))
    deleted = LogRow(
        thread_id=thread_id,
        seq=row["last_seq"] + 1,
        type="thread.deleted",
        run_id=None,
        data=json.dumps(event_data("thread.deleted", thread_id, None, {"thread": to_fields(row)})),
        resets=False,
        created_at=utc_now(),
    )
    thread_log.note_rows(connection, [deleted])
    totals.give_back(connection, payer, {"threads": 1})


def remove_expired(connection: Connection, *, limit: int = 50) -> int:
    """Remove temporary threads whose time has come, at most so many. Returns how many there were."""
    due = select(ThreadTable.id).where(ThreadTable.expires_at <= utc_now()).order_by(ThreadTable.expires_at)
    thread_ids = connection.scalars(due.limit(limit)).all()
    for thread_id in thread_ids:
        with suppress(ThreadNotFound):  # another process was first
            delete_thread(connection, thread_id)
    return len(thread_ids)


def _changed_values(
    connection: Connection, thread: Mapping[str, Any], changes: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The columns to update; None if nothing changes. Writes the row of a new summary."""
    wanted = {name: value if name == "metadata" else _checked_text(value, name) for name, value in changes.items()}
    differing = {name: value for name, value in wanted.items() if _differs(value, thread[name])}
    if not differing:
        return None
    if "summary" in differing:
        summaries.replace_text(connection, thread["id"], differing.pop("summary") or "")
    if "title" in differing:
        # A job may give a title again to a thread without one.
        differing["title_by"] = differing["title"] and "user"
    return differing


def _differs(one: Any, other: Any) -> bool:
    try:
        return json.dumps_sorted(one) != json.dumps_sorted(other)
    except TypeError as error:
        raise InvalidRequest("Metadata is JSON.", loc=("metadata",)) from error


def _checked_text(text: Any, name: str) -> str | None:
    """The text as it can be stored; None for an empty one. Raises `InvalidRequest`."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise InvalidRequest(f"A {name} is text.", loc=(name,))
    return json.clean_text(text) or None


class ThreadStore(Store):
    """Threads as clients read and write them. It does not check rights."""

    async def create(
        self,
        agent_id: str,
        *,
        title: str | None = None,
        summary: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        messages: Sequence[Mapping[str, Any]] = (),
        owner_id: str | None = None,
        expires_at: str | None = None,
    ) -> Thread:
        """A new thread. Initial `messages` are `{"role", "content"}`, with text or parts as content.

        A `summary` is about what came before these messages. `owner_id` becomes the thread's owner, and the author of
        the user messages. One with `expires_at` (RFC 3339 in UTC) is temporary: it goes then, is in no list or search,
        and gets no title or summary. Raises `AgentNotFound`, `InvalidRequest`.
        """
        check_ids(agent_id=agent_id, owner_id=owner_id)
        return await self._db.write(
            lambda c: create_thread(
                c,
                agent_id,
                title=title,
                summary=summary,
                metadata=metadata,
                messages=messages,
                owner_id=owner_id,
                expires_at=expires_at,
            ),
            long=bool(messages),
        )

    get = reading(get_thread)
    get_with_version = reading(get_with_version)
    list = reading(list_threads, long=True)
    update_with_version = writing(update_thread)
    delete = writing(delete_thread, long=True)
    fork = writing(fork_thread, long=True)

    async def find(self, thread_id: str) -> Thread | None:
        """One thread; None if there is none."""
        try:
            return await self.get(thread_id)
        except ThreadNotFound:
            return None

    async def update(self, thread_id: str, changes: ThreadChanges, *, expected_version: int | None = None) -> Thread:
        """Replace these of `title`, `summary`, `metadata`. Returns the thread.

        Raises `ThreadNotFound`, `PreconditionFailed` if the thread is at another version, `InvalidRequest`.
        """
        return (await self.update_with_version(thread_id, changes, expected_version=expected_version))[0]
