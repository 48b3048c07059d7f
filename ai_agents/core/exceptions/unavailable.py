"""Errors of a service that is not able to answer now: try again later."""

from ai_agents.core.exceptions.base import AIAgentsError


class Unavailable(AIAgentsError):
    """Try again later."""

    code = "overloaded"
    retryable = True


class DatabaseUnavailable(Unavailable):
    """The database does not answer."""

    code = "database_unavailable"


class DatabaseBusy(DatabaseUnavailable):
    """Too much waits for the database."""

    code = "overloaded"


class DatabaseFull(DatabaseUnavailable):
    """The disk of the database is full."""

    code = "storage_full"


class StorageUnavailable(Unavailable):
    """The storage of files does not answer."""


class BlobMissing(StorageUnavailable):
    """The file's content is not in the storage of this process."""


class StorageFull(StorageUnavailable):
    """The storage of files is full."""

    code = "storage_full"


class Overloaded(Unavailable):
    """This process takes no more work now."""


class SecondProcess(Unavailable):
    """Another process already runs agents on this database, and there is no Redis between them."""
