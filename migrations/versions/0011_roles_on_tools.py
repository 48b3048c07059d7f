"""Roles on the tools that admins made: the owners of agents that name one keep it."""

import json
import uuid
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    connection = op.get_bind()
    tools = set(connection.scalars(sa.text("SELECT name FROM tools")))
    if not tools:
        return
    owners: dict[str, list[str]] = {}
    owned = sa.text("SELECT resource_id, user_id FROM roles WHERE resource_type = 'agent' AND role = 'owner'")
    for agent_id, user_id in connection.execute(owned):
        owners.setdefault(agent_id, []).append(user_id)
    given: set[tuple[str, str]] = set()
    agents = connection.execute(sa.text("SELECT id, spec FROM agents WHERE deleted_at IS NULL"))
    for agent_id, spec in agents:
        for tool in (json.loads(spec) if isinstance(spec, str) else spec).get("tools") or ():
            name = (tool if isinstance(tool, str) else tool["name"]).partition("/")[0]
            if name in tools:
                given.update((name, user_id) for user_id in owners.get(agent_id, ()))
    now = datetime.now(UTC)
    at = now if connection.dialect.name == "postgresql" else now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    insert = sa.text(
        "INSERT INTO roles (id, user_id, role, resource_type, resource_id, created_at) "
        "VALUES (:id, :user_id, 'user', 'tool', :name, :at)"
    )
    for name, user_id in sorted(given):
        connection.execute(insert, {"id": str(uuid.uuid4()), "user_id": user_id, "name": name, "at": at})


def downgrade() -> None:
    """Return to tools that every user may name."""
    op.execute(sa.text("DELETE FROM roles WHERE resource_type = 'tool'"))
