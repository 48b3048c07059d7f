"""A guard that keeps tests on this machine."""

import ipaddress
import socket
from typing import Any

import pytest


class OutsideConnection(OSError):
    """A test tried to reach something outside of this machine."""


class LoopbackGuard:
    """Refuses connections and name look-ups that would leave the machine, and remembers each.

    Code under test may take the refusal for an ordinary network error, so `refused` is looked at after each test.
    It sees the sockets of Python, which asyncio's own loop uses, not those of extensions.
    """

    def __init__(self) -> None:
        self.refused: list[str] = []

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Put the guard in front of the socket module until `patch` is undone."""
        for name in ("connect", "connect_ex"):
            self._guard_connect(patch, name)
        look_up = socket.getaddrinfo

        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            self._check(host, of_name=True)
            return look_up(host, *args, **kwargs)

        patch.setattr(socket, "getaddrinfo", getaddrinfo)

    def _guard_connect(self, patch: pytest.MonkeyPatch, name: str) -> None:
        original = getattr(socket.socket, name)

        def connect(sock: socket.socket, address: Any) -> Any:
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                self._check(address[0], of_name=False)
            return original(sock, address)

        patch.setattr(socket.socket, name, connect)

    def _check(self, host: Any, *, of_name: bool) -> None:
        """Refuse what leaves the machine. Looking up an address that is a number asks no server."""
        if host is None:
            return
        text = host.decode() if isinstance(host, bytes) else str(host)
        if text in ("", "localhost"):
            return
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            stays = False
        else:
            stays = of_name or address.is_loopback or address.is_unspecified
        if not stays:
            self.refused.append(text)
            raise OutsideConnection(f"tests reach loopback only, not {text}")
