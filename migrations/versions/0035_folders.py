"""The id of the folder of files, which all processes of a database share."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    op.create_table(
        "folders",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_folders"),
    )


def downgrade() -> None:
    """Return to folders without an id."""
    op.drop_table("folders")
