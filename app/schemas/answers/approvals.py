"""Tool calls that wait for a person."""

from ai_agents.core import approval_rows
from app.schemas.answers.models import model_of, page_of

model_of("ThreadTitle", approval_rows.ThreadTitle)
model_of("AgentName", approval_rows.AgentName, name="Null where you do not see the agent.")
ApprovalRead = model_of(
    "ApprovalRead",
    approval_rows.WaitingApproval,
    "A tool call that waits for a person.",
    expires_at="When it is refused if no person has decided on it; null: never.",
)
ApprovalPage = page_of("ApprovalPage", ApprovalRead, "Tool calls that wait for a person, newest first.")
