"""The tables of providers, and of what is known of their models: calls, sizes of tokens, quirks."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Float, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ai_agents.store.models import Base, TimestampType, id_column


class ProviderTable(Base):
    """A provider that an admin made. `sealed_secrets` holds its API key and headers, encrypted.

    A row of the type `given` stands for a provider that was not made here; see `store.providers`.
    """

    __tablename__ = "providers"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    type: Mapped[str] = mapped_column(String(16))
    preset: Mapped[str | None] = mapped_column(String(64))
    base_url: Mapped[str | None] = mapped_column(Text)
    sealed_secrets: Mapped[str | None] = mapped_column(Text)
    default_model: Mapped[str | None] = mapped_column(Text)
    quirks: Mapped[dict[str, Any]] = mapped_column(JSON)
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[str] = mapped_column(TimestampType)
    updated_at: Mapped[str] = mapped_column(TimestampType)


class LearnedQuirksTable(Base):
    """What a provider's refusals taught about one of its models."""

    __tablename__ = "learned_quirks"

    provider: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(200), primary_key=True)
    quirks: Mapped[dict[str, Any]] = mapped_column(JSON)
    learned_at: Mapped[str] = mapped_column(TimestampType)


class ModelCallTable(Base):
    """A model call: its tokens, its cost and how it ended. The row outlives its thread, but not its user's erasure.

    `cost_pico_usd` is in millionths of a millionth of a US dollar, so that sums are exact; null where it is not known.
    A call that belongs to no run (for a summary, a title) has no `run_id`.
    """

    __tablename__ = "model_calls"
    __table_args__ = (
        Index("ix_model_calls_created_at", "created_at"),
        Index("ix_model_calls_user_id_created_at", "user_id", "created_at"),
        Index("ix_model_calls_thread_id_created_at", "thread_id", "created_at"),
    )

    id: Mapped[str] = id_column()
    run_id: Mapped[str | None] = mapped_column(String(36))
    thread_id: Mapped[str | None] = mapped_column(String(36))
    agent_id: Mapped[str | None] = mapped_column(String(36))
    user_id: Mapped[str | None] = mapped_column(Text)
    provider: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    input_tokens: Mapped[int | None] = mapped_column(BigInteger)
    output_tokens: Mapped[int | None] = mapped_column(BigInteger)
    cached_input_tokens: Mapped[int | None] = mapped_column(BigInteger)
    cache_write_tokens: Mapped[int | None] = mapped_column(BigInteger)
    reasoning_tokens: Mapped[int | None] = mapped_column(BigInteger)
    estimated: Mapped[bool] = mapped_column(Boolean)
    cost_pico_usd: Mapped[int | None] = mapped_column(BigInteger)
    outcome: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[str] = mapped_column(TimestampType)


class TokenRatioTable(Base):
    """How many tokens a model reports per token that the estimator counts, as a moving average."""

    __tablename__ = "token_ratios"

    provider: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(200), primary_key=True)
    ratio: Mapped[float] = mapped_column(Float)
    samples: Mapped[int] = mapped_column(Integer)
    updated_at: Mapped[str] = mapped_column(TimestampType)
