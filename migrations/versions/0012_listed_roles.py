"""Which agents of every user are in the lists of all users: those of admins, and those without an owner."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    op.add_column("roles", sa.Column("listed", sa.Boolean(), nullable=False, server_default=sa.false()))
    roles = sa.table("roles", *map(sa.column, ("user_id", "role", "resource_type", "resource_id", "listed")))
    keys = sa.table("api_keys", sa.column("user_id"), sa.column("admin", sa.Boolean()))
    owner = roles.alias("owners")
    owners = sa.select(owner.c.user_id).where(
        owner.c.resource_type == "agent", owner.c.resource_id == roles.c.resource_id, owner.c.role == "owner"
    )
    # The admin key of the settings belongs to the user `admin`.
    admins = sa.select(keys.c.user_id).where(keys.c.admin.is_(sa.true()))
    of_admin = owners.where(sa.or_(owner.c.user_id == "admin", owner.c.user_id.in_(admins)))
    listed = sa.or_(sa.exists(of_admin), ~sa.exists(owners))
    everybodys = (roles.c.resource_type == "agent", roles.c.user_id == "*")
    op.execute(sa.update(roles).where(*everybodys, listed).values(listed=sa.true()))


def downgrade() -> None:
    """Return to lists with every agent that every user may see."""
    op.drop_column("roles", "listed")
