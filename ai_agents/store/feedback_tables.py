"""The table of what people think of answers."""

from sqlalchemy import ForeignKey, Index, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ai_agents.store.models import Base, TimestampType


class FeedbackTable(Base):
    """What one user thinks of one answer: 1 or -1, a comment, or both. `agent_id` is that of the thread."""

    __tablename__ = "feedback"
    __table_args__ = (
        Index("ix_feedback_message_id_user_id", "message_id", "user_id", unique=True),
        Index("ix_feedback_agent_id_created_at_id", "agent_id", "created_at", "id"),
        Index("ix_feedback_created_at_id", "created_at", "id"),
        Index("ix_feedback_thread_id", "thread_id"),
        Index("ix_feedback_user_id", "user_id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    message_id: Mapped[str] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    thread_id: Mapped[str] = mapped_column(ForeignKey("threads.id", ondelete="CASCADE"))
    agent_id: Mapped[str] = mapped_column(String(36))
    user_id: Mapped[str] = mapped_column(Text)
    rating: Mapped[int | None] = mapped_column(SmallInteger)
    comment: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[str] = mapped_column(TimestampType)
    updated_at: Mapped[str] = mapped_column(TimestampType)
