"""The table of the doors: names that clients of other protocols have for threads."""

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ai_agents.store.models import Base, TimestampType


class ForeignIdTable(Base):
    """A user's name for a thread at one door. `digest` is of the name, which may be any text, of any length.

    `agent_id` and `thread_id` are null until there is a thread. `facts` is what the client said of it before.
    """

    __tablename__ = "foreign_ids"
    __table_args__ = (Index("ix_foreign_ids_thread_id", "thread_id"),)

    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    door: Mapped[str] = mapped_column(String(32), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    agent_id: Mapped[str | None] = mapped_column(String(36))
    thread_id: Mapped[str | None] = mapped_column(ForeignKey("threads.id", ondelete="CASCADE"))
    created_at: Mapped[str] = mapped_column(TimestampType)
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
