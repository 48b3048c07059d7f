"""HTTP headers that admins give, for tools and for providers, and users for themselves."""

import re
from collections.abc import Mapping

from ai_agents.core.exceptions import InvalidRequest

MAX_HEADERS = 32
MAX_HEADER = 4096
MAX_HEADER_NAME = 100
_NAME = re.compile(rf"[!#$%&'*+.^_`|~0-9A-Za-z-]{{1,{MAX_HEADER_NAME}}}")
_VALUE = re.compile(r"(?! )[\x20-\x7e]*(?<! )")
# Headers that describe the connection, and that the client sets itself.
_RESERVED = frozenset({
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade",
    "proxy-authorization", "proxy-connection", "accept-encoding", "expect",
})  # fmt: skip
# What the protocols themselves need, and what tells servers of another sender.
_NOT_OWN = frozenset({"accept", "content-type", "content-encoding", "forwarded", "idempotency-key", "mcp-session-id"})
_NOT_OWN_BEGINNINGS = ("mcp-", "x-forwarded-")


def check_headers(headers: Mapping[str, str], *, field: str = "headers") -> None:
    """Check names and values. Raises `InvalidRequest` for this field, which never repeats a value."""
    place = (field,)
    if len(headers) > MAX_HEADERS:
        raise InvalidRequest(f"There are at most {MAX_HEADERS} headers.", loc=place)
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or name.lower() in _RESERVED:
            raise InvalidRequest("A header has a valid name that the connection itself does not need.", loc=place)
        if not is_header_value(value):
            rule = f"A header's value is visible ASCII, at most {MAX_HEADER} characters, with no space at its ends."
            raise InvalidRequest(rule, loc=place)


def is_header_value(value: str) -> bool:
    """Whether the text can be sent as the value of a header."""
    return len(value) <= MAX_HEADER and _VALUE.fullmatch(value) is not None


def check_credentials(headers: Mapping[str, str], *, field: str = "headers") -> None:
    """Check a user's own headers. Raises `InvalidRequest` for this field, which never repeats a value."""
    place = (field,)
    if not headers:
        raise InvalidRequest("Credentials are at least one header.", loc=place)
    check_headers(headers, field=field)
    names = [name.lower() for name in headers]
    if len(set(names)) < len(names):
        raise InvalidRequest("A header is given once; upper and lower case are the same.", loc=place)
    if any(name in _NOT_OWN or name.startswith(_NOT_OWN_BEGINNINGS) for name in names):
        raise InvalidRequest("Credentials hold no headers of the protocol, and none that tell of a sender.", loc=place)


def merge_headers(shared: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """The headers of a call: those of the tool, and over them the user's own. Names have no case."""
    given = {name.lower() for name in own}
    return {name: value for name, value in shared.items() if name.lower() not in given} | dict(own)
