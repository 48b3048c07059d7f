"""The tables of budgets: what was used on a day, and what model calls under way may use."""

from sqlalchemy import BigInteger, Float, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ai_agents.store.models import Base


class BudgetDayTable(Base):
    """What an agent's or a user's model calls used on a day of UTC, such as `2026-11-30`.

    There is a row only where there is a budget. Its lock puts those in order that claim a part of the budget.
    """

    __tablename__ = "budget_days"
    __table_args__ = (Index("ix_budget_days_day", "day"),)

    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    subject_id: Mapped[str] = mapped_column(Text, primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    tokens: Mapped[int] = mapped_column(BigInteger)
    cost_pico_usd: Mapped[int] = mapped_column(BigInteger)


class BudgetClaimTable(Base):
    """What a model call that is under way may use of a budget. The settled call deletes its rows.

    `expires_at` is in seconds of the database's clock since 1970: a claim whose process died counts until then.
    """

    __tablename__ = "budget_claims"
    __table_args__ = (
        Index("ix_budget_claims_kind_subject_id_day", "kind", "subject_id", "day"),
        Index("ix_budget_claims_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    subject_id: Mapped[str] = mapped_column(Text)
    day: Mapped[str] = mapped_column(String(10))
    tokens: Mapped[int] = mapped_column(BigInteger)
    cost_pico_usd: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[float] = mapped_column(Float)
