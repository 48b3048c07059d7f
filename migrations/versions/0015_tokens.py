"""Tokens beside API keys, files that came with one, and tickets that end without a key."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"), nullable=True)


def upgrade() -> None:
    """Migrate to this revision."""
    op.add_column("api_keys", sa.Column("is_token", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("api_keys", sa.Column("agents", sa.JSON(), nullable=True))
    tokens = sa.text("is_token")
    op.create_index("ix_api_keys_tokens", "api_keys", ["expires_at"], sqlite_where=tokens, postgresql_where=tokens)
    op.add_column("files", sa.Column("token_id", sa.String(36), nullable=True))
    op.add_column("tickets", _time("ends_at"))


def downgrade() -> None:
    """Return to API keys alone."""
    op.drop_column("tickets", "ends_at")
    op.drop_column("files", "token_id")
    op.execute(sa.text("DELETE FROM tickets WHERE key_id IN (SELECT id FROM api_keys WHERE is_token)"))
    op.execute(sa.text("DELETE FROM api_keys WHERE is_token"))
    op.drop_index("ix_api_keys_tokens", "api_keys")
    op.drop_column("api_keys", "agents")
    op.drop_column("api_keys", "is_token")
