"""Files."""

from ai_agents.core import rows
from app.schemas.answers.models import model_of

DELETED = "True where the file was deleted, so that its content is gone; otherwise missing."
FileRead = model_of(
    "FileRead",
    rows.File,
    "A file. The service finds its type from its content.",
    sha256="Of its content; empty where it was deleted.",
    deleted=DELETED,
)
