"""The tables of webhooks: which addresses are told of what, and what was sent to them."""

from typing import Any

from sqlalchemy import JSON, Boolean, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ai_agents.store.models import Base, TimestampType


class WebhookTable(Base):
    """An address that is told of events of an agent's threads; without `agent_id`, of all threads.

    `sealed_secret` holds the secret that signs, encrypted. `by_admin`: an admin made it. It ends with the key that made
    it. After `failures` in a row nothing new is sent until `paused_until`, in seconds of the database's clock.
    """

    __tablename__ = "webhooks"
    __table_args__ = (
        Index("ix_webhooks_agent_id", "agent_id"),
        Index("ix_webhooks_user_id", "user_id"),
        Index("ix_webhooks_key_id", "key_id"),
        Index("ix_webhooks_created_at_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_id: Mapped[str] = mapped_column(Text)
    agent_id: Mapped[str | None] = mapped_column(ForeignKey("agents.id", ondelete="CASCADE"))
    key_id: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    by_admin: Mapped[bool] = mapped_column(Boolean)
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[Any]] = mapped_column(JSON)
    sealed_secret: Mapped[str] = mapped_column(Text)
    failures: Mapped[int] = mapped_column(Integer)
    paused_until: Mapped[float] = mapped_column(Float)
    created_at: Mapped[str] = mapped_column(TimestampType)


class DeliveryTable(Base):
    """One event that a webhook is told of. `id` is the `webhook-id`, the same in every attempt.

    `tries` counts the attempts since it was last asked for; none is made after `expires_at`, in seconds of the
    database's clock. `created_at` is the time of the event.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_webhook_id_created_at_id", "webhook_id", "created_at", "id"),
        Index("ix_webhook_deliveries_created_at", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(String(32))
    thread_id: Mapped[str] = mapped_column(String(36))
    run_id: Mapped[str | None] = mapped_column(String(36))
    status: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    tries: Mapped[int] = mapped_column(Integer)
    last_status: Mapped[int | None] = mapped_column(Integer)
    expires_at: Mapped[float] = mapped_column(Float)
    created_at: Mapped[str] = mapped_column(TimestampType)
