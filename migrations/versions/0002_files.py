"""Files, and which messages refer to them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    op.create_table(
        "files",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        # RFC 3339 text on a database without such a type.
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
    )
    op.create_index("ix_files_sha256", "files", ["sha256"])
    op.create_index("ix_files_user_id", "files", ["user_id"])
    op.create_table(
        "message_files",
        sa.Column("message_id", sa.String(36), nullable=False),
        sa.Column("file_id", sa.String(36), nullable=False),
        sa.Column("thread_id", sa.String(36), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], "fk_message_files_message_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], "fk_message_files_file_id"),
        sa.PrimaryKeyConstraint("message_id", "file_id", name="pk_message_files"),
    )
    op.create_index("ix_message_files_file_id_thread_id", "message_files", ["file_id", "thread_id"])


def downgrade() -> None:
    """Return to the first schema. The blobs of files stay in the blob store."""
    op.drop_table("message_files")
    op.drop_table("files")
