"""A version of this program after this one, as far as the database sees it: one migration more, which only adds."""

from pathlib import Path

import pytest
from alembic.config import Config
from sqlalchemy import Connection

from ai_agents.store import migrate
from ai_agents.store.models import SCHEMA_REVISION

NEXT = "9999"
_MIGRATION = f"""
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{NEXT}", "{SCHEMA_REVISION}", None, None


def upgrade():
    for table in ("threads", "runs", "messages", "agents"):
        op.add_column(table, sa.Column("of_the_next", sa.Integer(), nullable=False, server_default="0"))


def downgrade():
    for table in ("threads", "runs", "messages", "agents"):
        op.drop_column(table, "of_the_next")
"""


def know_the_next_version(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `migrate.upgrade` bring databases to the schema after this version's. The models know nothing of it."""
    (directory / f"{NEXT}_next.py").write_text(_MIGRATION)
    of_this = migrate.config_for

    def of_the_next(connection: Connection) -> Config:
        config = of_this(connection)
        own = migrate.migrations_directory() / "versions"
        config.set_main_option("path_separator", "os")
        config.set_main_option("version_locations", f"{own}:{directory}".replace("%", "%%"))
        return config

    monkeypatch.setattr(migrate, "config_for", of_the_next)
