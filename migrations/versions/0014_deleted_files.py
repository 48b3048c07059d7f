"""Files that were deleted while messages refer to them."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    time = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
    op.add_column("files", sa.Column("deleted_at", time, nullable=True))


def downgrade() -> None:
    """Forget which files were deleted."""
    op.drop_column("files", "deleted_at")
