"""Under which names the service is asked, and which proxies may say so."""

import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

# Balancers ask for these by address. Their answers say nothing that a name could protect.
HEALTH = frozenset({"/livez", "/readyz"})
# A name may end with a dot.
_WITH_PORT = re.compile(rb"(\[[0-9a-f:.]+\]|[^:\[\]]*?)\.?(?::[0-9]*)?")
_FORWARDED_HOST = b"x-forwarded-host"


class AnsweredHosts:
    """The hosts that are answered: names, addresses, and `*.example.com` for every name below one."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._hosts = frozenset(host.encode() for host in hosts if not host.startswith("*"))
        self._endings = tuple(host[1:].encode() for host in hosts if host.startswith("*"))

    def answers(self, scope: Scope) -> bool:
        """Whether a request names one of them, once. The port does not count, and health is told to everyone."""
        if scope["path"] in HEALTH:
            return True
        named = [value for name, value in scope["headers"] if name == b"host"]
        if len(named) != 1:
            return False
        found = _WITH_PORT.fullmatch(named[0].strip().lower())
        return found is not None and (found[1] in self._hosts or found[1].endswith(self._endings))


class TrustedProxies(ProxyHeadersMiddleware):
    """Believes `X-Forwarded-For`, `-Proto` and `-Host` if they come from these addresses and networks.

    Of several hosts the last one counts: the nearest proxy has written it.
    """

    def __init__(self, app: ASGIApp, *, proxies: Sequence[str]) -> None:
        super().__init__(app, list(proxies))  # type: ignore[arg-type]  # uvicorn has types of its own for ASGI

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]  # as above
        """Answer as if the request had come without proxies."""
        if scope["type"] == "http" and (scope.get("client") or (None,))[0] in self.trusted_hosts:
            forwarded = [value for name, value in scope["headers"] if name == _FORWARDED_HOST]
            if forwarded:
                host = forwarded[-1].rpartition(b",")[2].strip()
                others = [header for header in scope["headers"] if header[0] != b"host"]
                scope = {**scope, "headers": [(b"host", host), *others]}
        await super().__call__(scope, receive, send)  # type: ignore[arg-type]  # as above
