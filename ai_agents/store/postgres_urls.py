"""Addresses of PostgreSQL: what libpq, hosting companies and asyncpg write in them, in one form.

Source: https://www.postgresql.org/docs/current/libpq-connect.html, read 2026-11-30.
"""

import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from ai_agents.core.certificates import check_files
from ai_agents.core.exceptions import InvalidRequest

PORT = 5432
CONNECT_S = 10.0
# libpq's names for TLS; asyncpg reads them from an address only, not as arguments.
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_OF_TLS = (*_FILES, "sslmode", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version")
# The server itself reads these.
_OF_SERVER = ("application_name", "options")
_OF_ASYNCPG: Mapping[str, Callable[[str], Any]] = {
    "command_timeout": float,
    "passfile": str,
    "prepared_statement_cache_size": int,
    "statement_cache_size": int,
    "target_session_attrs": str,
    "timeout": float,
}
_SAME = {"ssl": "sslmode", "connect_timeout": "timeout", "dbname": "database"}
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# What the service can do with each kind of server: it writes all the time.
_SERVERS = ("any", "primary", "read-write")
# These may be written as long as they ask for nothing: this driver has neither.
_HARMLESS = {"channel_binding": ("prefer", "disable"), "gssencmode": ("prefer", "disable"), "sslcompression": ("0",)}
_WHY_NOT = {
    "channel_binding": "channel_binding=require is not supported: leave it out, and let sslmode=verify-full with "
    "sslrootcert=system (or a file) tell that the server is the right one",
    "gssencmode": "encryption by GSSAPI (gssencmode) is not supported: leave it out",
    "sslcompression": "TLS is not compressed: leave sslcompression out",
    "pgbouncer": "in place of pgbouncer=true, set the address of the database itself as AI_AGENTS_DATABASE_DIRECT_URL "
    "(direct_url in the library)",
    "schema": "in place of schema, write options=-csearch_path%3Dname",
    "direct_tls": "in place of direct_tls, write sslnegotiation=direct",
    "sslpassword": "a key with a password (sslpassword) is not supported: name a key without one, which only this user "
    "may read",
}
# Where systems keep the certificate authorities that they trust: Debian and Alpine, Red Hat, macOS and BSD.
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
_SEVERAL_HOSTS = re.compile(
    r"(?P<before>postgres[^:/]*://(?:[^/?#]*@)?)(?P<hosts>[^@/?#]*,[^@/?#]*)(?P<after>.*)", re.DOTALL
)


def parse_url(url: str) -> URL:
    """The address as SQLAlchemy has it. Several hosts, which libpq separates by commas, are parameters then.

    Raises `ArgumentError`, `ValueError`.
    """
    found = _SEVERAL_HOSTS.fullmatch(url)
    if found is None:
        return make_url(url)
    parsed = make_url(found["before"] + found["after"])
    if "host" in parsed.query:
        raise ArgumentError("hosts before and after the question mark")
    return parsed.update_query_dict({"host": found["hosts"]})


def normalize(url: URL) -> URL:
    """The address with libpq's names for TLS, and with the driver. Raises `InvalidRequest` for what cannot work."""
    given = {_SAME.get(name, name): value for name, value in url.query.items()}
    hosts = _hosts(url, given.pop("host", ()), given.pop("port", ()))
    twice = sorted(name for name, value in given.items() if not isinstance(value, str))
    if twice:
        raise InvalidRequest(f"The database URL has the parameter {twice[0]!r} twice.")
    values = {name: value for name, value in given.items() if isinstance(value, str)}
    plain = {name: values.pop(name) for name in ("user", "password", "database") if name in values}
    kept = {name: value for name, value in values.items() if not _may_be_left_out(name, value)}
    _check(kept)
    if kept.get("sslrootcert") == "system":
        kept["sslrootcert"] = _system_authorities(kept)
        kept["sslmode"] = "verify-full"
    check_files(kept, "The database URL", authorities=("sslrootcert", "sslcrl"), certificate="sslcert", key="sslkey")
    if len(hosts) > 1:
        # The first that answers may be a replica, which takes no writes.
        kept.setdefault("target_session_attrs", "read-write")
    host, port = hosts[0] if len(hosts) == 1 else (None, None)
    if len(hosts) > 1 or (host is not None and host.startswith("/")):
        kept["host"] = ",".join(each for each, _ in hosts)
        kept["port"] = ",".join(str(each) for _, each in hosts)
        host = port = None
    elif host is not None and port == PORT and url.port is None:
        port = None
    return URL.create(
        "postgresql+asyncpg",
        username=plain.get("user", url.username),
        password=plain.get("password", url.password),
        host=host,
        port=port if host else url.port,
        database=plain.get("database", url.database),
        query=kept,
    )


def connect_arguments(url: URL, **defaults: Any) -> tuple[URL, dict[str, Any]]:
    """A normalized address without its parameters, and what asyncpg gets in their place.

    `defaults` are arguments of asyncpg that the address may change. Some parameters it reads from an address only.
    """
    given = {name: value for name, value in url.query.items() if isinstance(value, str)}
    arguments = {name: _OF_ASYNCPG[name](value) for name, value in given.items() if name in _OF_ASYNCPG}
    from_address = {name: given[name] for name in (*_OF_TLS, *_OF_SERVER) if name in given}
    if from_address:
        arguments["dsn"] = f"postgresql://?{urlencode(from_address)}"
    bare = url.set(query={name: value for name, value in given.items() if name in ("host", "port")})
    return bare, {"timeout": CONNECT_S, **defaults, **arguments}


def hosts_of(url: URL) -> list[tuple[str, int]]:
    """The servers of an address, each with its port; a host may be the folder of a socket."""
    return _hosts(url, url.query.get("host", ()), url.query.get("port", ())) or [("localhost", PORT)]


def place_of(url: URL) -> str:
    """Where the servers are, for people."""
    return ",".join(host if host.startswith("/") else f"{_in_brackets(host)}:{port}" for host, port in hosts_of(url))


def _hosts(url: URL, more: str | tuple[str, ...], ports: str | tuple[str, ...]) -> list[tuple[str, int]]:
    named = [url.host] if url.host else []
    named += [each for given in ((more,) if isinstance(more, str) else more) for each in given.split(",")]
    numbers = [each for given in ((ports,) if isinstance(ports, str) else ports) for each in given.split(",")]
    found = []
    for place, each in enumerate(named):
        host, own = (each, "") if each.startswith("/") or each is url.host else _without_port(each)
        shared = numbers[place] if len(numbers) == len(named) else numbers[0] if len(numbers) == 1 else ""
        number = own or shared or str(url.port or PORT)
        if not host or not number.isdecimal() or not 0 < int(number) < 65_536:
            raise InvalidRequest("The database URL has a host without a name, or a port that is no number.")
        found.append((host, int(number)))
    return found


def _without_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = text.rpartition(":") if text.count(":") == 1 else (text, "", "")
    return host, port


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _may_be_left_out(name: str, value: str) -> bool:
    return value in _HARMLESS.get(name, ())


def _check(values: Mapping[str, str]) -> None:
    known = {*_OF_TLS, *_OF_SERVER, *_OF_ASYNCPG}
    for name, value in sorted(values.items()):
        if (why := _WHY_NOT.get(name)) is not None:
            raise InvalidRequest(f"The database URL: {why}.")
        if name not in known:
            raise InvalidRequest(
                f"The database URL has an unknown parameter {name!r}; known are {', '.join(sorted(known))}."
            )
        kind = _OF_ASYNCPG.get(name, str)
        try:
            is_good = kind is str or kind(value) >= (0 if kind is int else 0.1)
        except ValueError:
            is_good = False
        if not is_good:
            raise InvalidRequest(
                f"The database URL: {name} is a number of {'statements' if kind is int else 'seconds'}."
            )
    _check_one_of("sslmode", values.get("sslmode", "prefer"), _MODES)
    if values.get("sslrootcert", "system") != "system" and values.get("sslmode") not in _MODES[3:]:
        raise InvalidRequest("The database URL: sslrootcert needs sslmode=verify-full (or verify-ca, or require).")
    _check_one_of("target_session_attrs", values.get("target_session_attrs", "any"), _SERVERS)
    _check_one_of("sslnegotiation", values.get("sslnegotiation", "postgres"), ("postgres", "direct"))


def _check_one_of(name: str, value: str, values: tuple[str, ...]) -> None:
    if value not in values:
        raise InvalidRequest(f"The database URL: {name} is one of {', '.join(values)}.")


def _system_authorities(values: Mapping[str, str]) -> str:
    """The file of the certificate authorities that this machine trusts."""
    if values.get("sslmode", "verify-full") != "verify-full":
        raise InvalidRequest("The database URL: sslrootcert=system goes with sslmode=verify-full alone.")
    files = (ssl.get_default_verify_paths().cafile, *_BUNDLES)
    found = next((path for path in files if path and Path(path).exists()), None)
    if found is None:
        raise InvalidRequest("The database URL: this machine has no file of authorities; name one as sslrootcert.")
    return found
