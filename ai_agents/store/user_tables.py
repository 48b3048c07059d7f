"""The tables about users themselves: what they may use."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from ai_agents.store.models import Base


class UserLimitsTable(Base):
    """The limits that an admin set for a user, by name; null is no limit, and a missing one is the service's own.

    `changed_at` is in seconds of the database's clock since 1970: processes read what was changed since they last did.
    """

    __tablename__ = "user_limits"
    __table_args__ = (Index("ix_user_limits_changed_at", "changed_at"),)

    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    limits: Mapped[dict[str, Any]] = mapped_column(JSON)
    changed_at: Mapped[float] = mapped_column(Float)


class UserTotalsTable(Base):
    """How much a user has of what has a quota. Each row is changed in the transaction that makes or deletes the thing.

    Which user a thing counts for stands in the thing itself: `files.user_id`, `counted_for` of threads and versions.
    """

    __tablename__ = "user_totals"

    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    files: Mapped[int] = mapped_column(BigInteger)
    files_bytes: Mapped[int] = mapped_column(BigInteger)
    threads: Mapped[int] = mapped_column(BigInteger)
    agent_versions: Mapped[int] = mapped_column(BigInteger)
