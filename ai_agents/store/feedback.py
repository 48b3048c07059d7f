"""What people think of answers: one row for each user and message, as long as it says anything."""

from collections.abc import Collection

from sqlalchemy import Connection, delete, insert, select, update

from ai_agents.core.exceptions import InvalidRequest, MessageNotFound
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.json import clean_text
from ai_agents.core.rows import Feedback, OwnFeedback, Page, Rating, only
from ai_agents.store import pages, thread_log
from ai_agents.store.access_tables import RoleAssignmentTable
from ai_agents.store.database import Store, reading, writing
from ai_agents.store.feedback_tables import FeedbackTable
from ai_agents.store.models import MessageTable, ThreadTable

MAX_COMMENT = 2000
_RATINGS = (1, -1, None)


def put(
    connection: Connection,
    thread_id: str,
    message_id: str,
    user_id: str,
    *,
    rating: Rating | None = None,
    comment: str | None = None,
) -> Feedback:
    """Replace what the user thinks of an assistant's message; without rating and comment it is taken back.

    Returns it as it is then. Raises `ThreadNotFound`, `MessageNotFound`, and `InvalidRequest` for a message of another
    role, another rating, or a comment that is too long.
    """
    comment = clean_text(comment or "").strip() or None
    if rating not in _RATINGS or isinstance(rating, bool):
        raise InvalidRequest("A rating is 1, -1 or null.", loc=("rating",))
    if comment is not None and len(comment) > MAX_COMMENT:
        raise InvalidRequest(f"A comment has at most {MAX_COMMENT} characters.", loc=("comment",))
    thread_log.lock(connection, thread_id)
    asked = select(MessageTable.role, ThreadTable.agent_id).join(ThreadTable, ThreadTable.id == MessageTable.thread_id)
    asked = asked.where(MessageTable.id == message_id, MessageTable.thread_id == thread_id)
    found = connection.execute(asked).one_or_none()
    if found is None:
        raise MessageNotFound
    if found.role != "assistant":
        raise InvalidRequest("Feedback is about an assistant's message.", loc=("message_id",))
    this = (FeedbackTable.message_id == message_id, FeedbackTable.user_id == user_id)
    created_at = connection.scalar(select(FeedbackTable.created_at).where(*this))
    now = utc_now()
    row: Feedback = {
        "message_id": message_id,
        "thread_id": thread_id,
        "agent_id": found.agent_id,
        "user_id": user_id,
        "rating": rating,
        "comment": comment,
        "created_at": created_at or now,
        "updated_at": now,
    }
    if rating is None and comment is None:
        connection.execute(delete(FeedbackTable).where(*this))
    elif created_at is None:
        connection.execute(insert(FeedbackTable), {"id": new_id(), **row})
    else:
        connection.execute(update(FeedbackTable).where(*this).values(dict(row)))
    return row


def own_feedback(connection: Connection, user_id: str, message_ids: Collection[str]) -> dict[str, OwnFeedback]:
    """What the user thinks of these messages, by their ids, without those of which they have said nothing."""
    if not message_ids:
        return {}
    given = select(FeedbackTable.message_id, FeedbackTable.rating, FeedbackTable.comment)
    given = given.where(FeedbackTable.message_id.in_(message_ids), FeedbackTable.user_id == user_id)
    return {row["message_id"]: only(OwnFeedback, row) for row in connection.execute(given).mappings()}


def list_feedback(
    connection: Connection,
    owner_id: str | None = None,
    *,
    agent_id: str | None = None,
    rating: Rating | None = None,
    limit: int = 20,
    after: str | None = None,
) -> Page[Feedback]:
    """A page of the feedback (of this agent, of this rating), newest first: `{"data", "next"}`.

    With `owner_id`, only on agents that this user owns. Raises `InvalidCursor`.
    """
    statement = select(FeedbackTable.__table__)
    if owner_id is not None:
        owned = select(RoleAssignmentTable.resource_id).where(
            RoleAssignmentTable.user_id == owner_id,
            RoleAssignmentTable.resource_type == "agent",
            RoleAssignmentTable.role == "owner",
        )
        statement = statement.where(FeedbackTable.agent_id.in_(owned))
    if agent_id is not None:
        statement = statement.where(FeedbackTable.agent_id == agent_id)
    if rating is not None:
        statement = statement.where(FeedbackTable.rating == rating)
    return pages.newest_first(
        connection, statement, FeedbackTable, limit=limit, after=after, to_dict=lambda row: only(Feedback, row)
    )


class FeedbackStore(Store):
    """What people think of answers."""

    put = writing(put)
    own = reading(own_feedback)
    list = reading(list_feedback, long=True)
