"""All tables together: what `create_all` makes, and what migrations are compared with."""

from sqlalchemy import MetaData

from ai_agents.store import (
    access_tables,
    audit_tables,
    budget_tables,
    credential_tables,
    door_tables,
    feedback_tables,
    folder_tables,
    job_tables,
    models,
    provider_tables,
    search_tables,
    user_tables,
    webhook_tables,
)

# The modules with tables. One that is not imported is missing in the schema.
TABLE_MODULES = (
    models,
    access_tables,
    job_tables,
    provider_tables,
    user_tables,
    audit_tables,
    budget_tables,
    feedback_tables,
    webhook_tables,
    credential_tables,
    door_tables,
    search_tables,
    folder_tables,
)
METADATA: MetaData = models.Base.metadata
