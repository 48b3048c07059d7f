"""A running service, as commands talk to it: over HTTP, with sentences for what goes wrong."""

import argparse
import asyncio
import json
import os
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from ai_agents.client import Client, ServiceProblem, ServiceUnreachable
from app.commands.command import CommandFailed

if TYPE_CHECKING:
    from app.settings import Settings

T = TypeVar("T")
_KEY, _URL = "AI_AGENTS_KEY", "AI_AGENTS_URL"


class Address:
    """Where a service is, and the key for it."""

    def __init__(self, url: str, key: str) -> None:
        """Raises `CommandFailed` for an address or a key that cannot be one."""
        self.url = _checked(url)
        self.key = key.strip()
        if not self.key.isascii() or not self.key.isprintable() or not self.key:
            raise CommandFailed("An API key has visible ASCII characters only, and this one has others.")

    def connect(self, *, patience_s: float = 0.0) -> Client:
        """A client, which tries again for so long after a failure."""
        return Client(self.url, self.key, patience_s=patience_s)

    @contextmanager
    def told(self) -> Generator[None]:
        """Turns what a client raises into `CommandFailed`, with a sentence for the person at the terminal."""
        try:
            yield
        except (ServiceProblem, ServiceUnreachable) as error:
            raise CommandFailed(self.sentence_of(error)) from error
        except json.JSONDecodeError:
            raise CommandFailed(f"What answers at {self.url} is no AI Agents service: it sent no JSON.") from None

    def sentence_of(self, error: ServiceProblem | ServiceUnreachable) -> str:
        """What a failure means."""
        if isinstance(error, ServiceUnreachable):
            hint = f"`ai-agents serve` starts one; --url or {_URL} says where it is."
            return f"{str(error).replace('The service', f'The service at {self.url}', 1)}. {hint}"
        if error.code == "unknown" and error.status < 500:
            return f"What answers at {self.url} is no AI Agents service ({error.detail})."
        if error.status in {502, 503, 504}:
            return f"The service at {self.url} cannot answer now: {error.detail}"
        # One sentence alone is the detail again.
        wrong = [each for each in error.errors if each["msg"] != error.detail]
        return f"The service refused: {error.detail}" + "".join(f"\n  {_described(each)}" for each in wrong)


def with_service(arguments: argparse.Namespace, use: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
    """The result of `use` with a client of the service that the arguments name. Raises `CommandFailed`."""
    address = address_of(arguments)

    async def run() -> T:
        async with address.connect() as client:
            return await use(client)

    with address.told():
        return asyncio.run(run())


def address_of(arguments: argparse.Namespace) -> Address:
    """What the arguments name, or the environment; by default the service of this machine's settings.

    Raises `CommandFailed`.
    """
    url = arguments.url or os.environ.get(_URL)
    key = _given_key(arguments)
    # Who talks to another machine needs no settings.
    settings = None if url and key else _settings()
    return Address(url or _own_url(settings), key or _own_key(settings))


def _given_key(arguments: argparse.Namespace) -> str | None:
    if arguments.key_file:
        return Path(arguments.key_file).read_text(encoding="utf-8").strip()
    return arguments.key or os.environ.get(_KEY)


def _settings() -> "Settings":
    from app.commands.opening import read_settings

    return read_settings()


def _own_url(settings: "Settings | None") -> str:
    """Where this machine's service listens; one that listens everywhere is reached on the loopback."""
    assert settings is not None  # noqa: S101  # they are read where an argument is missing
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  # compared, not bound
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _own_key(settings: "Settings | None") -> str:
    if settings is None or (settings.admin_key is None and not settings.admin_key_file.exists()):
        raise CommandFailed(
            f"No key: give one with --key-file, --key or {_KEY}, or run this where the service keeps its admin key."
        )
    from app.key_files import admin_key

    return admin_key(settings)


def _checked(url: str) -> str:
    """The address, with its scheme. Raises `CommandFailed`."""
    whole = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(whole)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_usable = False
    if not is_usable or not whole.isascii() or not whole.isprintable() or " " in whole:
        raise CommandFailed("The address of a service (--url) is like http://127.0.0.1:8000.")
    return whole.rstrip("/")


def _described(error: Any) -> str:
    """What is wrong, with its place in the request, as `settings.temperature`."""
    place = ".".join(str(part) for part in error["loc"] if part != "body")
    return f"{place}: {error['msg']}" if place else str(error["msg"])
