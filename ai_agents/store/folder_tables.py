"""The table of folders that processes share."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ai_agents.store.models import Base


class FolderTable(Base):
    """The id of a folder that belongs to this database. A file in the folder has the same one."""

    __tablename__ = "folders"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    id: Mapped[str] = mapped_column(String(36))
