"""The key that made a key, and secrets of a key that are valid for a while after it got a new one."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    op.add_column("api_keys", sa.Column("parent_id", sa.String(36), nullable=True))
    op.add_column("api_keys", sa.Column("old_secrets", sa.JSON(), nullable=True))
    op.create_index("ix_api_keys_parent_id", "api_keys", ["parent_id"])


def downgrade() -> None:
    """Return to keys that know nothing of each other."""
    # It is no user's key.
    op.execute(sa.text("DELETE FROM api_keys WHERE user_id = ''"))
    op.drop_index("ix_api_keys_parent_id", "api_keys")
    op.drop_column("api_keys", "old_secrets")
    op.drop_column("api_keys", "parent_id")
