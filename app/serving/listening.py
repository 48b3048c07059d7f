"""The sockets that the service listens on, opened before anything else, so that a port in use is told at once."""

import errno
import socket
import sys
from contextlib import suppress
from typing import Any

from app.errors import CannotStart

# What else a host and a port can be wrong for, in words.
_REASONS = {
    errno.EADDRINUSE: "another program listens there; PORT or --port choose another one, and 0 a free one",
    errno.EACCES: "this user may not listen on this port: choose one above 1023 (PORT, --port)",
    errno.EADDRNOTAVAIL: "this machine has no such address (HOST, --host)",
}


def listen_apart(host: str, port: int, processes: int) -> list[list[socket.socket]]:
    """For each process sockets of its own, as of `listen`: the system spreads connections over those that listen.

    Where it does not, all processes get the same ones. The first are bound alone, so that a port in use is told.
    """
    first = listen(host, port)
    if processes == 1 or not sys.platform.startswith("linux"):
        return [first] * processes
    found = [first]
    try:
        for each in first:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        while len(found) < processes:
            found.append(
                [_bound(each.family, each.type, each.proto, each.getsockname(), is_shared=True) for each in first]
            )
    except OSError:
        # Not every kernel takes a socket into such a group that was bound alone.
        return [first] * processes
    return found


def listen(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of the host, bound but not yet listening. Raises `CannotStart`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise CannotStart(f"The service cannot listen on {host}: this name has no address (HOST, --host).") from None
    sockets: list[socket.socket] = []
    refused: OSError | None = None
    for family, kind, protocol, _, address in dict.fromkeys(found):
        try:
            sockets.append(_bound(family, kind, protocol, address))
        except OSError as error:
            # A name may have addresses that this machine lacks, such as ::1 of localhost. Another fault ends it.
            refused = error
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                break
    if refused is not None and (not sockets or refused.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)):
        for each in sockets:
            each.close()
        reason = _REASONS.get(refused.errno or 0, refused.strerror)
        raise CannotStart(f"The service cannot listen on {host}, port {port}: {reason}.") from refused
    return sockets


def _bound(family: int, kind: int, protocol: int, address: Any, *, is_shared: bool = False) -> socket.socket:
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            with suppress(OSError):
                # The same port of IPv4 has a socket of its own.
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        bound.set_inheritable(False)
    except BaseException:
        bound.close()
        raise
    return bound
