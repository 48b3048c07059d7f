"""HTTP headers that an admin gives, for tools and for providers."""

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


def check_headers(headers: Mapping[str, str]) -> None:
    """Check names and values. Raises `InvalidRequest`, which never repeats a value."""
    place = ("headers",)
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
