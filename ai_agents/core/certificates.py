"""Certificates: those that requests to others are checked with, and files of them that addresses name."""

import ssl
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ai_agents.core.exceptions import InvalidRequest

if TYPE_CHECKING:
    from ssl import SSLContext


@cache
def trusted_certificates(*, trust_env: bool = True) -> "SSLContext":
    """What httpx2's clients use by themselves, read once for all: to read it takes longer than a request does.

    With `trust_env` the variables SSL_CERT_FILE and SSL_CERT_DIR name it.
    """
    import httpx2

    return httpx2.create_ssl_context(trust_env=trust_env)


def check_files(
    values: Mapping[str, str], what: str, *, authorities: Collection[str], certificate: str, key: str
) -> None:
    """Check that the files which an address names for TLS can be used. The parameters have these names.

    `what` is the address, for people. Raises `InvalidRequest` for a file that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in (*authorities, certificate, key):
        if name not in values:
            continue
        path = Path(values[name])
        try:
            path.open("rb").close()
            if name in authorities:
                context.load_verify_locations(cafile=path)
            elif name == certificate:
                context.load_cert_chain(path, values.get(key), password=lambda: "")
        except ssl.SSLError as error:
            said = "it is no certificate"
            if name == certificate:
                said = f"it is no certificate, or its key ({key}) is missing, does not fit or has a password"
            raise InvalidRequest(f"{what}: the file {path} of {name} cannot be used: {said}.") from error
        except OSError as error:
            raise InvalidRequest(f"{what}: the file {path} of {name} cannot be read: {error.strerror}.") from error
    if key in values and certificate not in values:
        raise InvalidRequest(f"{what}: {key} is the key of a certificate, which {certificate} names.")
