"""Which folder belongs to the database: the id that is in both."""

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from ai_agents.store.folder_tables import FolderTable

FILES = "files"


def find_folder_id(connection: Connection, name: str) -> str | None:
    """The id of the folder with this name; None before a process has claimed one."""
    return connection.scalar(select(FolderTable.id).where(FolderTable.name == name))


def claim_folder(connection: Connection, name: str, folder_id: str) -> str:
    """The id of the folder with this name: the given one, unless another was claimed before."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(insert(FolderTable).values(name=name, id=folder_id).on_conflict_do_nothing())
    return connection.execute(select(FolderTable.id).where(FolderTable.name == name)).scalar_one()
