"""Hosts of addresses that admins give."""

import re
from ipaddress import IPv4Address, ip_address
from urllib.parse import SplitResult

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
# WHATWG reads a host that ends so as an IPv4 address: https://url.spec.whatwg.org/#ends-in-a-number-checker
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


def has_host(parts: SplitResult) -> bool:
    """Whether an address has a host that `is_host` accepts; only a numeric one stands in brackets."""
    host = parts.hostname or ""
    return ("[" in parts.netloc) == (":" in host) and is_host(host)


def is_host(host: str) -> bool:
    """Whether a host, as `urlsplit` gives it, is a name that can be looked up, or a whole numeric address.

    A zone (`%eth0`) is refused: it means something on one machine only.
    """
    if ":" in host or "%" in host:
        return "%" not in host and _is_address(host)
    try:
        name = host.encode("idna").decode() if not host.isascii() else host
    except UnicodeError:
        return False
    name = name.removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _is_address(name) and isinstance(ip_address(name), IPv4Address)
    return len(name) <= 253 and all(map(_LABEL.fullmatch, labels))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
