"""The table of users' own headers for tools that are called with them."""

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from ai_agents.store.models import Base, TimestampType


class ToolCredentialsTable(Base):
    """A user's own headers for a tool that an admin made, encrypted. They go with the tool."""

    __tablename__ = "tool_credentials"
    __table_args__ = (Index("ix_tool_credentials_tool", "tool"),)

    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    tool: Mapped[str] = mapped_column(ForeignKey("tools.name", ondelete="CASCADE"), primary_key=True)
    sealed_headers: Mapped[str] = mapped_column(Text)
    created_at: Mapped[str] = mapped_column(TimestampType)
    updated_at: Mapped[str] = mapped_column(TimestampType)
