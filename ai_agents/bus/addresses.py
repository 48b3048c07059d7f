"""Addresses of Redis: one server, a socket, or Sentinels, with and without TLS; for redis-py and for Celery alike.

redis-py and Celery (kombu) read different addresses. Here one is read, and each gets what it understands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from ai_agents.core.certificates import check_files
from ai_agents.core.exceptions import InvalidRequest

if TYPE_CHECKING:
    from redis.asyncio import Redis

_PORT, _SENTINEL_PORT = 6379, 26_379
_SCHEMES = ("redis", "rediss", "unix", "sentinel", "sentinels")
_WITH_TLS = ("rediss", "sentinels")
_FORMS = (
    "The address of Redis cannot be used: it is like redis://host:6379/0, rediss://host:6379/0 (with TLS), "
    "unix:///path?db=0 or sentinel://one:26379,two:26379/0?master=mymaster."
)
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_OF_TLS = (*_FILES, "ssl_ca_path", "ssl_cert_reqs", "ssl_check_hostname", "ssl_ciphers")
_OF_ALL = ("client_name", "db", "password", "username")
_OF_SENTINELS = ("master", "sentinel_password", "sentinel_username")
# As Redis's own examples have it.
_MASTER = "mymaster"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where Redis is. `hosts` are the server, or the Sentinels, which know the server `master`; none for a socket.

    `options` are arguments of a connection of redis-py.
    """

    hosts: tuple[tuple[str, int], ...]
    path: str = ""
    master: str | None = None
    database: int = 0
    is_encrypted: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    of_sentinels: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it is, for people: without user and password."""
        hosts = ",".join(f"{_in_brackets(host)}:{port}" for host, port in self.hosts)
        return self.path or (hosts if self.master is None else f"{self.master} of the Sentinels {hosts}")

    def open_client(self, **options: Any) -> "Redis":
        """A client of redis-py; `options` are more of its arguments, such as time-outs."""
        from redis.asyncio import Redis
        from redis.asyncio.sentinel import Sentinel

        given = {**self.options, **options, "db": self.database}
        if self.path:
            return Redis(unix_socket_path=self.path, **given)
        if self.is_encrypted:
            given["ssl"] = True
        if self.master is None:
            ((host, port),) = self.hosts
            return Redis(host=host, port=port, **given)
        times = {name: value for name, value in options.items() if name.startswith(("socket_", "protocol"))}
        sentinels = Sentinel(  # type: ignore[no-untyped-call]  # redis-py's gap
            list(self.hosts), sentinel_kwargs={**self._to_sentinels(), **times}
        )
        client: Redis = sentinels.master_for(self.master, redis_class=Redis, **given)
        return client

    def celery_settings(self) -> dict[str, Any]:
        """The settings of Celery for this broker, `broker_transport_options` among them."""
        user = quote(self.options.get("username") or "", safe="")
        password = quote(self.options.get("password") or "", safe="")
        sign_in = f"{user}:{password}@" if user or password else ""
        tls = {name: value for name, value in self.options.items() if name.startswith("ssl_")}
        use_ssl = tls or {"ssl_cert_reqs": "required"} if self.is_encrypted else None
        transport: dict[str, Any] = {}
        if "client_name" in self.options:
            transport["client_name"] = self.options["client_name"]
        if self.path:
            url = f"redis+socket://{sign_in}{quote(self.path)}?virtual_host={self.database}"
        elif self.master is None:
            ((host, port),) = self.hosts
            url = f"redis://{sign_in}{_in_brackets(host)}:{port}/{self.database}"
        else:
            url = ";".join(
                f"sentinel://{sign_in}{_in_brackets(host)}:{port}/{self.database}" for host, port in self.hosts
            )
            transport |= {"master_name": self.master, "sentinel_kwargs": self._to_sentinels()}
        return {"broker_url": url, "broker_use_ssl": use_ssl, "broker_transport_options": transport}

    def _to_sentinels(self) -> dict[str, Any]:
        tls = {name: value for name, value in self.options.items() if name.startswith("ssl_")}
        return {**self.of_sentinels, **(tls | {"ssl": True} if self.is_encrypted else {})}


async def close_client(client: "Redis") -> None:
    """Close a client of `open_client`, and its connections to Sentinels, which redis-py leaves open."""
    await client.aclose()
    manager = getattr(client.connection_pool, "sentinel_manager", None)
    for sentinel in () if manager is None else manager.sentinels:
        await sentinel.aclose()


def parse_address(url: str) -> RedisAddress:
    """Read an address. Raises `InvalidRequest` for one that cannot be used; it does not repeat a password."""
    parts, hosts = _split(url)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    is_sentinel, is_encrypted = parts.scheme.startswith("sentinel"), parts.scheme in _WITH_TLS
    known = (*_OF_ALL, *(_OF_TLS if is_encrypted else ()), *(_OF_SENTINELS if is_sentinel else ()))
    for name in given:
        if name in _OF_TLS and not is_encrypted:
            needed = "rediss" if parts.scheme == "unix" else f"{parts.scheme}s"
            raise InvalidRequest(f"The address of Redis has {name}, which needs {needed}://.")
        if name not in known:
            raise InvalidRequest(
                f"The address of Redis has an unknown parameter {name!r}; known are {', '.join(sorted(known))}."
            )
    database = given.pop("db", "") or ("" if parts.scheme == "unix" else parts.path.strip("/")) or "0"
    if not database.isdecimal():
        raise InvalidRequest("The address of Redis ends in the number of a database, like /0.")
    options: dict[str, Any] = {name: value for name, value in given.items() if name not in _OF_SENTINELS}
    for name, value in (("username", parts.username), ("password", parts.password)):
        if value:
            options[name] = unquote(value)
    _read_tls(options)
    sentinels = {name.removeprefix("sentinel_"): given[name] for name in _OF_SENTINELS[1:] if name in given}
    return RedisAddress(
        hosts=hosts,
        path=unquote(parts.path) if parts.scheme == "unix" else "",
        master=(given.get("master") or _MASTER) if is_sentinel else None,
        database=int(database),
        is_encrypted=is_encrypted,
        options=options,
        of_sentinels=sentinels,
    )


def _split(url: str) -> tuple[SplitResult, tuple[tuple[str, int], ...]]:
    """The parts of an address, and its hosts with their ports. Raises `InvalidRequest`."""
    try:
        parts = urlsplit(url)
        default = _SENTINEL_PORT if parts.scheme.startswith("sentinel") else _PORT
        places = parts.netloc.rpartition("@")[2].split(",")
        hosts: tuple[tuple[str, int], ...] = ()
        if parts.scheme == "unix":
            is_good = bool(parts.path.strip("/")) and places == [""]
        else:
            each = [urlsplit(f"//{place}") for place in places]
            hosts = tuple((unquote(one.hostname or ""), one.port or default) for one in each)
            is_good = all(host for host, _ in hosts) and (len(hosts) == 1 or default == _SENTINEL_PORT)
    except ValueError:
        raise InvalidRequest(_FORMS) from None
    if parts.scheme not in _SCHEMES or not is_good:
        raise InvalidRequest(_FORMS)
    return parts, hosts


def _read_tls(options: dict[str, Any]) -> None:
    """Give the parameters of TLS the values that redis-py takes. Raises `InvalidRequest` for what cannot work."""
    if "ssl_cert_reqs" in options:
        # Celery's own addresses have CERT_REQUIRED where redis-py's have required.
        asked = options["ssl_cert_reqs"].lower().removeprefix("cert_")
        if asked not in ("required", "optional", "none"):
            raise InvalidRequest("The address of Redis: ssl_cert_reqs is required, optional or none.")
        options["ssl_cert_reqs"] = asked
    if "ssl_check_hostname" in options:
        asked = options["ssl_check_hostname"].lower()
        if asked not in ("true", "false"):
            raise InvalidRequest("The address of Redis: ssl_check_hostname is true or false.")
        options["ssl_check_hostname"] = asked == "true"
    check_files(
        options, "The address of Redis", authorities=["ssl_ca_certs"], certificate="ssl_certfile", key="ssl_keyfile"
    )


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host else host
