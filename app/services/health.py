"""Whether the service can work."""

from app.container import Container


async def check_database(container: Container) -> None:
    """Raises `DatabaseUnavailable` if the database does not answer."""
    await container.conn.database.ping()
