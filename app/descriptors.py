"""How many files and connections this process may have open, and how clients and providers share them."""

from contextlib import suppress
from dataclasses import dataclass

from app.settings import Settings

# The database's files, Redis, the log, the pools of processes, files that are read or written.
_OWN = 64
# SQLite has up to three files per connection, and a transaction may wait for one more.
_PER_POOLED_CONNECTION = 4
# Connections that the system may hand over at once, before the first of them is counted. Linux allows 4,096.
_LONGEST_BACKLOG = 2048
# With fewer the service is of no use; then descriptors do run out, which it survives.
_LEAST_CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class DescriptorShares:
    """What clients and providers get of the descriptors. `limit` is None where the system has none."""

    limit: int | None
    clients: int
    upstream: int
    backlog: int


def share_descriptors(settings: Settings) -> DescriptorShares:
    """The shares under the limit that this process has now.

    A run that streams takes two descriptors: one to its provider, one to its client. So providers get half at most.
    """
    limit = _limit()
    asked, asked_upstream = settings.max_connections, settings.max_upstream_connections
    if limit is None:
        return DescriptorShares(None, asked, asked_upstream, _LONGEST_BACKLOG)
    backlog = min(_LONGEST_BACKLOG, limit // 8)
    free = limit - _OWN - _PER_POOLED_CONNECTION * settings.database_pool_size - backlog
    upstream = min(asked_upstream, max(_LEAST_CONNECTIONS, free // 2))
    clients = min(asked, max(_LEAST_CONNECTIONS, free - upstream))
    return DescriptorShares(limit, clients, upstream, backlog)


def raise_descriptor_limit() -> None:
    """Let this process open as many files and connections as the system allows it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # macOS refuses to remove the limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _limit() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft
