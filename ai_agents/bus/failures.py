"""Why Redis cannot be used, in a sentence that an operator can act on. It has no password."""

from contextlib import suppress
from urllib.parse import urlsplit

from ai_agents.core.connecting import causes_of, why_not_reached
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.extras import require

_PORT = 6379
_SCHEMES = ("redis", "rediss", "unix")
# How Redis and redis-py begin what they say, and what it means.
_SAID = (
    (("WRONGPASS", "invalid username-password pair", "invalid password"), "refuses the password"),
    (("NOAUTH", "Authentication required"), "asks for a password, and the address has none"),
    (("AUTH <password> called without any password",), "has no password, but the address has one"),
    (("NOPERM", "this user has no permissions"), "does not allow this user what is needed"),
    (("DB index is out of range", "invalid DB index"), "has no database of this number"),
    (("max number of clients reached",), "has no connection left (maxclients)"),
    (("LOADING", "Redis is loading"), "is still loading its data"),
    (("READONLY",), "is a replica that takes no writes"),
    (("Connection closed by server",), "closed the connection"),
    (("OOM command not allowed",), "has no memory left (maxmemory)"),
)


def check_url(url: str) -> None:
    """Raises `InvalidRequest` for an address that cannot be one of Redis."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _SCHEMES and bool(parts.path if parts.scheme == "unix" else parts.hostname)
        if usable and parts.port is not None and parts.scheme == "unix":
            usable = False
    except ValueError:
        usable = False
    if not usable:
        raise InvalidRequest(
            "The address of Redis cannot be used: it is like redis://host:6379/0, rediss://host:6379/0 (with TLS) or "
            "unix:///path."
        )


def why_not_used(error: BaseException, url: str) -> str | None:
    """The sentence for this error; None for one that is not known."""
    from redis.exceptions import InvalidResponse, RedisError

    parts = urlsplit(url)
    host, port = (parts.path, None) if parts.scheme == "unix" else (parts.hostname or "localhost", parts.port or _PORT)
    where = host if port is None else f"{host}:{port}"
    if (said := why_not_reached(error, "Redis", host, port)) is not None:
        return said
    for found in causes_of(error):
        if isinstance(found, InvalidResponse):
            return f"Redis at {where} does not answer as a Redis: another server listens there, or it expects TLS."
        for beginnings, meaning in _SAID:
            if isinstance(found, RedisError) and any(beginning in str(found) for beginning in beginnings):
                return f"Redis at {where} {meaning}."
    return None


async def find_fault(url: str, *, timeout_s: float = 5.0) -> str | None:
    """Why this Redis cannot be used now; None if it can. Raises `InvalidRequest` for an address that is none."""
    check_url(url)
    require("redis")
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    client = Redis.from_url(url, protocol=2, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        return why_not_used(error, url) or f"Redis cannot be used: {str(error).partition(chr(10))[0]}."
    finally:
        with suppress(RedisError, OSError, RuntimeError):
            await client.aclose()
    return None
