"""An index by which the list of all keys is read, without tokens, of which there may be many more."""

from alembic import op

from ai_agents.store.migration_steps import create_index_beside

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    create_index_beside("ix_api_keys_created_at_id", "api_keys", ["created_at", "id"], where="NOT is_token")


def downgrade() -> None:
    """Return to a schema without it."""
    op.drop_index("ix_api_keys_created_at_id", "api_keys")
