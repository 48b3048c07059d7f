"""Why Redis cannot be used, in a sentence that an operator can act on. It has no password."""

from contextlib import suppress
from typing import TYPE_CHECKING

from ai_agents.bus.addresses import RedisAddress, close_client, parse_address
from ai_agents.core.connecting import CLOSED, LATE, causes_of, why_not_reached
from ai_agents.core.extras import require

if TYPE_CHECKING:
    from redis.asyncio import Redis

_CLUSTER = (
    "is a node of a cluster, where Celery's queues cannot be: use one server, or Sentinels "
    "(sentinel://one:26379,two:26379/0?master=mymaster)"
)
_KINDS = {
    "cluster": f"Redis at {{where}} {_CLUSTER}.",
    "sentinel": "Redis at {where} is a Sentinel: its address begins with sentinel:// and names the master.",
}
_PUBLISH = "return redis.call('PUBLISH', ARGV[1], ARGV[2])"
# How Redis and redis-py begin what they say, and what it means.
_SAID = (
    (("WRONGPASS", "invalid username-password pair", "invalid password"), "refuses the password"),
    (("NOAUTH", "Authentication required"), "asks for a password, and the address has none"),
    (("AUTH <password> called without any password",), "has no password, but the address has one"),
    (("NOPERM", "no permissions", "No permissions"), "does not allow this user what is needed: {said}"),
    (("running in protected mode",), "is in protected mode, which lets in this machine alone: set a password there"),
    (("MOVED ", "CROSSSLOT", "CLUSTERDOWN"), _CLUSTER),
    (("MISCONF",), "takes no writes, since it cannot save to its disk"),
    (("MASTERDOWN",), "is a replica that has lost its master"),
    (("NOREPLICAS",), "takes no writes, since too few replicas follow it (min-replicas-to-write)"),
    (("unknown command",), "lacks a command that is needed: {said}"),
    (("DB index is out of range", "invalid DB index"), "has no database of this number"),
    (("max number of clients reached",), "has no connection left (maxclients)"),
    (("LOADING", "Redis is loading"), "is still loading its data"),
    (("READONLY", "read only replica", "previous master is now"), "is a replica that takes no writes"),
    (("Connection closed by server", "Connection reset by peer"), "closed the connection"),
    (("Connection refused", "Connect call failed"), "does not listen: the connection was refused"),
    (("Timeout connecting", "Timeout reading"), "did not answer in time"),
    (("command not allowed when used memory",), "has no memory left (maxmemory)"),
)


def check_url(url: str) -> None:
    """Raises `InvalidRequest` for an address that cannot be one of Redis."""
    parse_address(url)


def why_not_used(error: BaseException, url: str) -> str | None:
    """The sentence for this error; None for one that is not known."""
    from redis.exceptions import InvalidResponse, RedisError
    from redis.sentinel import MasterNotFoundError

    address = parse_address(url)
    where = address.place
    host, port = address.hosts[0] if len(address.hosts) == 1 and address.master is None else (where, None)
    for found in causes_of(error):
        if type(found).__name__ == MasterNotFoundError.__name__:
            hosts = where.rpartition(" ")[2]
            return f"No Sentinel at {hosts} answers and knows a server named {address.master} that is its master."
    if (said := why_not_reached(error, "Redis", host, port)) is not None:
        if address.is_encrypted and said.endswith(LATE):
            # It waits for the rest of what it takes for a command.
            return said.replace(LATE, f"{LATE[:-1]}: it may not speak TLS, which the address asks for.")
        return said
    for found in causes_of(error):
        if isinstance(found, InvalidResponse):
            return f"Redis at {where} does not answer as a Redis: another server listens there, or it expects TLS."
        for beginnings, meaning in _SAID:
            if isinstance(found, RedisError) and any(beginning in str(found) for beginning in beginnings):
                return f"Redis at {where} {meaning.format(said=_first_line(found))}."
    return None


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


async def find_wrong_kind(client: "Redis", url: str) -> str | None:
    """Why a server that answers is none that can be used: a node of a cluster, or a Sentinel; None for any other."""
    from redis.exceptions import RedisError

    try:
        found = await client.info("server")
    except (RedisError, OSError):  # it may be forbidden, or gone; what is done with it will say so
        return None
    sentence = _KINDS.get(str(found.get("redis_mode")))
    return None if sentence is None else sentence.format(where=parse_address(url).place)


async def find_wrong_server(url: str, *, timeout_s: float = 2.0) -> str | None:
    """The same for an address; None for a server that is away, too: that one may come back."""
    from redis.exceptions import RedisError

    client = _open_to_look(parse_address(url), timeout_s)
    try:
        return await find_wrong_kind(client, url)
    finally:
        with suppress(RedisError, OSError, RuntimeError):
            await close_client(client)


def _open_to_look(address: RedisAddress, timeout_s: float) -> "Redis":
    require("redis")
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return address.open_client(
        protocol=2,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0, supported_errors=()),  # the first answer is the true one
    )


async def find_fault(url: str, *, timeout_s: float = 5.0) -> str | None:
    """Why this Redis cannot be used now; None if it can. Raises `InvalidRequest` for an address that is none.

    It is asked for what is needed of it: to publish, and to keep a key, which goes at once.
    """
    address = parse_address(url)
    client = _open_to_look(address, timeout_s)
    from redis.exceptions import RedisError

    try:
        await client.ping()
        if (wrong_kind := await find_wrong_kind(client, url)) is not None:
            return wrong_kind
        await client.eval(_PUBLISH, 0, f"aia:{address.database}:check", "")
        await client.set("ai-agents.check", "", px=1)
    except (RedisError, OSError) as error:
        said = why_not_used(error, url) or f"Redis cannot be used: {_first_line(error)}."
        if said.endswith(CLOSED) and not address.is_encrypted and not address.path:
            return said.replace(CLOSED, f"{CLOSED[:-1]}: it may expect TLS (rediss://).")
        return said
    finally:
        with suppress(RedisError, OSError, RuntimeError):
            await close_client(client)
    return None
