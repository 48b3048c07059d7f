"""The tables of who may do what: roles, API keys, tickets, and what was revoked."""

from typing import Any

from sqlalchemy import JSON, Boolean, Float, ForeignKey, Index, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from ai_agents.store.models import Base, TimestampType, id_column, partial_index


class RoleAssignmentTable(Base):
    """A user's role on an agent, a thread, or a tool or provider, whose id is its name.

    The user `*` stands for every authenticated user. With `listed`, an agent on which `*` has this role is in the lists
    of all users.
    """

    __tablename__ = "roles"
    __table_args__ = (
        UniqueConstraint("resource_type", "resource_id", "user_id"),
        Index("ix_roles_user_id_resource_type_resource_id", "user_id", "resource_type", "resource_id"),
    )

    id: Mapped[str] = id_column()
    user_id: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(String(16))
    resource_type: Mapped[str] = mapped_column(String(16))
    resource_id: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[str] = mapped_column(TimestampType)
    listed: Mapped[bool] = mapped_column(Boolean, server_default=false())


class ApiKeyTable(Base):
    """An API key, or (`is_token`) a token. Only the hash of its secret is stored.

    A token may be for some `agents` only (their ids; null: all). `parent_id` is the key of the same user that made it,
    or the key that made the token, and is deleted with all that it made. `old_secrets` are hashes
    of former secrets, each with its end: `[{"hash", "until"}]`. The admin key that comes from the environment has a row
    without user and secret, so that what it made ends with it.
    """

    __tablename__ = "api_keys"
    __table_args__ = (
        Index("ix_api_keys_user_id", "user_id"),
        Index("ix_api_keys_parent_id", "parent_id"),
        partial_index("ix_api_keys_tokens", "expires_at", where="is_token"),
        partial_index("ix_api_keys_created_at_id", "created_at", "id", where="NOT is_token"),
    )

    id: Mapped[str] = id_column()
    user_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    prefix: Mapped[str] = mapped_column(String(32))
    secret_hash: Mapped[str] = mapped_column(String(64))
    admin: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[str] = mapped_column(TimestampType)
    expires_at: Mapped[str | None] = mapped_column(TimestampType)
    parent_id: Mapped[str | None] = mapped_column(String(36))
    old_secrets: Mapped[list[Any] | None] = mapped_column(JSON)
    is_token: Mapped[bool] = mapped_column(Boolean, server_default=false())
    agents: Mapped[list[str] | None] = mapped_column(JSON)


class TicketTable(Base):
    """A ticket lets a browser read one thread's streams for a while, as long as the key that made it is valid.

    One without a thread is for hints about all threads that its user sees.

    One that no key made is valid until `ends_at` at the longest.
    """

    __tablename__ = "tickets"
    __table_args__ = (Index("ix_tickets_expires_at", "expires_at"), Index("ix_tickets_key_id", "key_id"))

    id: Mapped[str] = id_column()
    thread_id: Mapped[str | None] = mapped_column(ForeignKey("threads.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(Text)
    admin: Mapped[bool] = mapped_column(Boolean)
    key_id: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    secret_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[str] = mapped_column(TimestampType)
    expires_at: Mapped[str] = mapped_column(TimestampType)
    ends_at: Mapped[str | None] = mapped_column(TimestampType)


class RevocationTable(Base):
    """Something that was taken away a moment ago: `subject` is what it was, and its id: see `store.revocations`.

    `at` is in seconds of the database's clock since 1970.
    """

    __tablename__ = "revocations"
    __table_args__ = (Index("ix_revocations_at", "at"),)

    id: Mapped[str] = id_column()
    subject: Mapped[str] = mapped_column(String(64))
    at: Mapped[float] = mapped_column(Float)
