"""The database's clock."""

from sqlalchemy import Cast, ColumnElement, Float, func, literal_column


def database_now(dialect: str) -> ColumnElement[float]:
    """Seconds since 1970 by the database's clock, which all replicas share."""
    if dialect == "postgresql":
        return Cast(func.extract("epoch", func.clock_timestamp()), Float)
    return literal_column("((julianday('now') - 2440587.5) * 86400.0)", Float)
