"""The certificates that requests to others are checked with."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssl import SSLContext


@cache
def trusted_certificates(*, trust_env: bool = True) -> "SSLContext":
    """What httpx2's clients use by themselves, read once for all: to read it takes longer than a request does.

    With `trust_env` the variables SSL_CERT_FILE and SSL_CERT_DIR name it.
    """
    import httpx2

    return httpx2.create_ssl_context(trust_env=trust_env)
