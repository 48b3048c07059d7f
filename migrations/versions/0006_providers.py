"""Providers that admins make, what refusals taught about servers, what a server said of a failed run.

And an index of a thread's model calls.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    # RFC 3339 text on a database without such a type.
    timestamp = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
    op.create_table(
        "providers",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("preset", sa.String(64), nullable=True),
        sa.Column("base_url", sa.Text(), nullable=True),
        sa.Column("sealed_secrets", sa.Text(), nullable=True),
        sa.Column("default_model", sa.Text(), nullable=True),
        sa.Column("quirks", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", timestamp, nullable=False),
        sa.Column("updated_at", timestamp, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_providers"),
    )
    op.create_table(
        "learned_quirks",
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("quirks", sa.JSON(), nullable=False),
        sa.Column("learned_at", timestamp, nullable=False),
        sa.PrimaryKeyConstraint("provider", "model", name="pk_learned_quirks"),
    )
    # A provider's id is its name.
    with op.batch_alter_table("roles") as roles:
        roles.alter_column("resource_id", existing_type=sa.String(36), type_=sa.String(64), existing_nullable=False)
    op.add_column("runs", sa.Column("upstream", sa.JSON(), nullable=True))
    op.create_index("ix_model_calls_thread_id_created_at", "model_calls", ["thread_id", "created_at"])
    op.add_column("messages", sa.Column("refused", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Return to the providers of the environment alone."""
    op.drop_index("ix_model_calls_thread_id_created_at", "model_calls")
    op.drop_column("messages", "refused")
    op.drop_column("runs", "upstream")
    op.execute(sa.text("DELETE FROM roles WHERE resource_type = 'provider'"))
    with op.batch_alter_table("roles") as roles:
        roles.alter_column("resource_id", existing_type=sa.String(64), type_=sa.String(36), existing_nullable=False)
    op.drop_table("learned_quirks")
    op.drop_table("providers")
