"""A running service, as commands talk to it: over HTTP, with sentences for what goes wrong."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from app.commands.command import CommandFailed

if TYPE_CHECKING:
    from app.settings import Settings

_TIMEOUT_S = 60.0
_PAGE = 100


class ServiceError(CommandFailed):
    """The service refused a request, or does not answer. The message is for the person at the terminal."""


class Unreachable(ServiceError):
    """The service does not answer, or cannot now. The same request may succeed later."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Refused(ServiceError):
    """The service answered with a problem. `errors` are `{loc, msg}` of what is wrong in the request."""

    def __init__(self, message: str, *, status: int, code: str, errors: list[Mapping[str, Any]]) -> None:
        super().__init__(message)
        self.status = status
        self.problem = code
        self.errors = errors


class Service:
    """A service at an address, with a key. To be closed, as a context."""

    def __init__(self, url: str, key: str) -> None:
        """Raises `ServiceError` for an address or a key that cannot be one."""
        self.url = _address(url)
        if not key.isascii() or not key.isprintable() or not key.strip():
            raise ServiceError("An API key has visible ASCII characters only, and this one has others.")
        self.http = httpx.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {key.strip()}", "user-agent": "ai-agents"},
            timeout=httpx.Timeout(_TIMEOUT_S, connect=10.0),
        )

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of an answer. Raises `Refused`, `Unreachable`."""
        return self.ask("GET", path, params=query)

    def list(self, path: str, **query: Any) -> Iterator[Any]:
        """All entries of a list, page by page. Raises `Refused`, `Unreachable`."""
        after: str | None = None
        while True:
            page = self.get(path, **query, **({} if after is None else {"after": after}))
            yield from page["data"]
            after = page["next"]
            if after is None:
                return

    def list_whole(self, path: str) -> Iterator[Any]:
        """All entries of a list that has pages of any size."""
        return self.list(path, limit=_PAGE)

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """The JSON of an answer; None for an empty one. Raises `Refused`, `Unreachable`."""
        try:
            response = self.http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self.unreachable(error) from error
        self.check(response)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise ServiceError(f"What answers at {self.url} is no AI Agents service: it sent no JSON.") from None

    def check(self, response: httpx.Response) -> None:
        """Raises `Refused` or `Unreachable` for an answer that is a failure."""
        if response.status_code < 300:
            return
        try:
            response.read()
            problem = response.json()
            detail, code = str(problem["detail"]), str(problem["code"])
        except httpx.HTTPError as error:
            raise self.unreachable(error) from error
        except (ValueError, KeyError, TypeError):
            detail, code, problem = f"HTTP {response.status_code}", "", {}
            if response.status_code < 500:
                detail = f"what answers at {self.url} is no AI Agents service (HTTP {response.status_code})."
        if response.status_code in {502, 503, 504}:
            raise Unreachable(
                f"The service at {self.url} cannot answer now: {detail}",
                retry_after_s=_seconds(response.headers.get("retry-after")),
            )
        # What the request had wrong stands with each error; one sentence alone is the detail again.
        errors = list(problem.get("errors") or ())
        places = "".join(f"\n  {_place(each['loc'])}: {each['msg']}" for each in errors if each["msg"] != detail)
        raise Refused(f"The service refused: {detail}{places}", status=response.status_code, code=code, errors=errors)

    def unreachable(self, error: httpx.HTTPError) -> Unreachable:
        """What a failure of the connection means."""
        said = str(error) or type(error).__name__
        if isinstance(error, httpx.ConnectError):
            hint = "`ai-agents serve` starts one, and --url says where it is."
            return Unreachable(f"The service at {self.url} does not answer: {said}. {hint}")
        return Unreachable(f"The service at {self.url} does not answer: {said}.")


def open_service(arguments: argparse.Namespace) -> Service:
    """The service that the arguments name; by default the one of this machine's settings. Raises `ServiceError`."""
    settings = _settings_for(arguments)
    url = arguments.url or (settings and _own_url(settings))
    return Service(str(url), _key(arguments, settings))


def _settings_for(arguments: argparse.Namespace) -> "Settings | None":
    """The settings, where arguments leave something open: who talks to another machine needs none."""
    if arguments.url and (arguments.key or arguments.key_file):
        return None
    from app.commands.opening import read_settings

    return read_settings()


def _own_url(settings: "Settings") -> str:
    """Where this machine's service listens; every address is reached by the loopback one."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  # compared, not bound
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _key(arguments: argparse.Namespace, settings: "Settings | None") -> str:
    if arguments.key:
        return str(arguments.key)
    if arguments.key_file:
        return Path(arguments.key_file).read_text(encoding="utf-8").strip()
    if settings is None or (settings.admin_key is None and not settings.admin_key_file.exists()):
        raise ServiceError("No key: give one with --key, or run this where the service keeps its admin key.")
    from app.key_files import admin_key

    return admin_key(settings)


def _address(url: str) -> str:
    """The address, with its scheme. Raises `ServiceError`."""
    whole = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(whole)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ServiceError("The address of a service (--url) is like http://127.0.0.1:8000.")
    return whole.rstrip("/")


def _seconds(header: str | None) -> float | None:
    return float(header) if header is not None and header.isdecimal() else None


def _place(loc: list[Any]) -> str:
    """Where in the request something is wrong, as `settings.temperature`."""
    return ".".join(str(part) for part in loc if part != "body") or "the request"
