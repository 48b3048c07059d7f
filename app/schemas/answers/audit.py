"""The audit log."""

from typing import Annotated

from pydantic import Field

from ai_agents.core import audit_rows
from app.schemas.answers.models import MODELS, model_of, page_of

_PERSON = "A user by pseudonym. `user_id` is null when the user was erased."
MODELS[audit_rows.Person] = model_of("Person", audit_rows.Person, _PERSON, id="The pseudonym.")
AuditRead = model_of(
    "AuditRead",
    audit_rows.AuditEntry,
    "What was done, by which user, to what.",
    actor="Null for what the service or an operator at the command line did, and where the user is not known.",
    key_id="The API key of the request.",
    operation="The operation of this document.",
    resource_id=Annotated[str | None, Field(description="Null where it is everything of this kind.")],
    subject="Who is concerned: who gets a role or a key, or is erased.",
    count="How many requests this entry counts. Its other facts are those of the first.",
    request_id=Annotated[str | None, Field(description="`X-Request-Id`, or its hash where a program did not make it.")],
    details=Annotated[dict[str, str | int | float | bool | None], Field(description="More, by name.")],
    batch="The batch of the chain that covers it; null for the newest entries.",
)
AuditPage = page_of("AuditPage", AuditRead, "Entries of the audit log, newest first.")
