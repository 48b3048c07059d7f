"""Why a server could not be reached, in a sentence that an operator can act on."""

import errno
import socket
import ssl
from collections.abc import Iterator
from itertools import chain

_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL)
# What asyncio raises where a name has several addresses: one error whose text has those of all.
_REFUSED_TEXT = f"[Errno {errno.ECONNREFUSED}]"
CLOSED, LATE = "closed the connection.", "did not answer in time."
# By OpenSSL's names of what a server answers to the certificate of a client.
_ALERTS = (
    ("CERTIFICATE_REQUIRED", "asks for a certificate of this program, and the address names none"),
    ("UNKNOWN_CA", "does not trust the certificate of this program"),
    ("ALERT_CERTIFICATE_EXPIRED", "finds that the certificate of this program has expired"),
    ("ALERT_BAD_CERTIFICATE", "refuses the certificate of this program"),
    ("PROTOCOL_VERSION", "has no version of TLS in common with this program"),
    ("UNSUPPORTED_PROTOCOL", "has no version of TLS in common with this program"),
    ("WRONG_VERSION_NUMBER", "does not speak TLS, which the address asks for"),
)


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it came from: causes, contexts, the members of groups, and drivers' own errors."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop(0)
        if not isinstance(found, BaseException) or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        members = found.exceptions if isinstance(found, BaseExceptionGroup) else ()
        waiting += chain((getattr(found, "orig", None), found.__cause__), members, (found.__context__,))


def why_not_reached(error: BaseException, what: str, host: str, port: int | None) -> str | None:
    """The sentence for an error of a name, a network, a socket's file or TLS; None for any other.

    `what` is the server's kind, such as `PostgreSQL`. `host` may be the path of a socket.
    """
    place = host if port is None or host.startswith("/") else f"{host}:{port}"
    for found in causes_of(error):
        said = _of_network(found, place, host) or _of_tls(found, place)
        if said is not None:
            return said.replace("{what}", what)
    return None


def is_passing_failure(error: BaseException) -> bool:
    """Whether a server that could not be reached may be there in a moment: it or its network is only starting."""
    return any(
        found.errno == socket.EAI_AGAIN
        if isinstance(found, socket.gaierror)
        else isinstance(found, ConnectionError | TimeoutError | FileNotFoundError)
        or (isinstance(found, OSError) and (found.errno in _UNREACHABLE or _REFUSED_TEXT in str(found)))
        for found in causes_of(error)
    )


def _of_tls(found: BaseException, place: str) -> str | None:
    if isinstance(found, ssl.SSLCertVerificationError):
        return f"The certificate of {{what}} at {place} is not trusted: {found.verify_message.rstrip('.')}."
    if isinstance(found, ssl.SSLError):
        for words, meaning in _ALERTS:
            if words in (found.reason or ""):
                return f"{{what}} at {place} {meaning}."
        return f"TLS with {{what}} at {place} failed: {found.reason or 'the answer is no TLS'}."
    return None


def _of_network(found: BaseException, place: str, host: str) -> str | None:
    said: str | None = None
    match found:
        case socket.gaierror():
            said = f"The host {host} of {{what}} is not known: its name has no address."
        case ConnectionRefusedError():
            said = f"{{what}} does not listen at {place}: the connection was refused."
        case FileNotFoundError() if host.startswith("/"):
            said = f"{{what}} does not listen at {place}: there is no such socket."
        case TimeoutError():
            said = f"{{what}} at {place} {LATE}"
        case ConnectionResetError() | BrokenPipeError():
            said = f"{{what}} at {place} {CLOSED}"
        case OSError() if found.errno in _UNREACHABLE:
            said = f"{{what}} at {place} cannot be reached from this machine: {found.strerror}."
        case OSError() if _REFUSED_TEXT in str(found):
            said = f"{{what}} does not listen at {place}: the connection was refused."
    return said
