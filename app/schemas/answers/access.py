"""API keys, tokens, tickets and roles."""

from ai_agents.core import key_rows, rows
from app.schemas.answers.models import model_of, page_of

_PREFIX = "How the key begins, to tell keys apart."
KeyRead = model_of("KeyRead", key_rows.Key, prefix=_PREFIX)
NewKey = model_of("NewKey", key_rows.NewKey, "An API key with its secret, which is shown this once.", prefix=_PREFIX)
NewToken = model_of(
    "NewToken",
    key_rows.NewToken,
    "A token. `token` is shown in this answer alone.",
    agents="The only agents that it is for; null: it is for all that its user sees.",
)
KeyPage = page_of("KeyPage", KeyRead, "API keys, newest first.")
RoleRead = model_of("RoleRead", rows.Role)
RolePage = page_of("RolePage", RoleRead, "Roles, newest first.")
TicketRead = model_of("TicketRead", key_rows.Ticket, "A ticket. It is shown only in this answer.")
