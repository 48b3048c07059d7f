"""Under which hosts the service answers, and whose word it takes for who a client is."""

import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from app.key_files import admin_key, encryption_keys
from app.main import create_app
from app.serving.server import build_server
from app.settings import Settings
from tests.api.live import serve
from tests.api.service import check_problem, open_service, settings_for

ROOT = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def answering(database_url: str, tmp_path: Path, **settings: str) -> AsyncIterator[httpx.AsyncClient]:
    """A user of a service with these settings. The client's address is 127.0.0.1."""
    async with open_service(settings_for(database_url, tmp_path, **settings)) as service:
        yield await service.user("alice")


async def test_only_named_hosts_are_answered(sqlite_url: str, tmp_path: Path) -> None:
    named = "chat.example.com, *.internal, 10.0.0.5,[::1]"
    async with answering(sqlite_url, tmp_path) as client:
        assert (await client.get("/agents", headers={"host": "any.example.com"})).status_code == 200
    async with answering(sqlite_url, tmp_path, hosts=named) as client:
        for host in ("chat.example.com", "CHAT.example.com:8443", "chat.example.com.", "a.b.internal", "10.0.0.5:80"):
            assert (host, (await client.get("/agents", headers={"host": host})).status_code) == (host, 200)
        assert (await client.get("/agents", headers={"host": "[::1]:8000"})).status_code == 200
        others = "example.com|evil.com|chat.example.com.evil.com|xinternal|internal||[::2]|[::1|[::1]x"
        for host in others.split("|"):
            refused = await client.get("/agents", headers={"host": host})
            check_problem(refused, 400, "invalid_host")
        twice = [("host", "chat.example.com"), ("host", "chat.example.com")]
        check_problem(await client.get("/agents", headers=twice), 400, "invalid_host")
        check_problem(await client.get("/", headers={"host": "evil.com"}), 400, "invalid_host")
        # Before the key is looked at; health is told under every host.
        wrong = {"host": "evil.com", "authorization": "Bearer wrong"}
        check_problem(await client.get("/agents", headers=wrong), 400, "invalid_host")
        for path in ("/livez", "/readyz"):
            assert (await client.get(path, headers={"host": "192.0.2.7:8000"})).status_code == 200


FORWARDED = {"x-forwarded-for": "203.0.113.9, 10.1.2.3", "x-forwarded-proto": "https", "x-forwarded-host": "a.com"}


async def client_in_log(client: httpx.AsyncClient, **headers: str) -> str:
    """The client's address in the log line of a request with these headers."""
    with capture_logs() as logs:
        assert (await client.get("/livez", headers=headers)).status_code == 200
    [line] = [line for line in logs if line["event"] == "request"]
    return str(line["client"])


async def test_forwarded_headers_are_believed_from_named_proxies_alone(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    async with serve(settings_for(sqlite_url, tmp_path)) as live:
        assert await client_in_log(await live.user("alice"), **FORWARDED) == "127.0.0.1"
    seen_by = {"10.0.0.0/8": "127.0.0.1", "127.0.0.1": "10.1.2.3", "127.0.0.0/8, 10.0.0.0/8": "203.0.113.9"}
    for proxies, seen in seen_by.items():
        async with answering(sqlite_url, tmp_path, trust_proxy=proxies) as client:
            assert (proxies, await client_in_log(client, **FORWARDED)) == (proxies, seen)
            # What the proxy wrote comes last; what its client wrote before is not looked at.
            spoofed = FORWARDED | {"x-forwarded-for": "192.0.2.1, " + FORWARDED["x-forwarded-for"]}
            assert await client_in_log(client, **spoofed) == seen
            assert len(await client_in_log(client, **{"x-forwarded-for": "x" * 9999})) < 100


async def test_a_forwarded_host_counts_only_from_a_named_proxy(sqlite_url: str, tmp_path: Path) -> None:
    named = {"hosts": "chat.example.com"}
    forwarded = {"x-forwarded-host": "evil.com, chat.example.com", "host": "10.0.0.5"}
    async with answering(sqlite_url, tmp_path, **named) as client:
        check_problem(await client.get("/agents", headers=forwarded), 400, "invalid_host")
    async with answering(sqlite_url, tmp_path, **named, trust_proxy="127.0.0.1") as client:
        assert (await client.get("/agents", headers=forwarded)).status_code == 200
        other = forwarded | {"x-forwarded-host": "chat.example.com, evil.com"}
        check_problem(await client.get("/agents", headers=other), 400, "invalid_host")
        assert (await client.get("/agents", headers={"host": "chat.example.com"})).status_code == 200


@pytest.mark.parametrize(
    "setting, value",
    [("hosts", host) for host in ("https://a.com", "a.com:80", "a.com/x", "*", "a.*.com", "A.com", "a b")]
    + [("trust_proxy", address) for address in ("*", "proxy.internal", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.1:80")],
)
def test_settings_that_name_no_host_or_address_are_refused(setting: str, value: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(repr(value))):
        Settings.model_validate({setting: value})


@pytest.mark.parametrize("blank", ["", " ", "\t\n "])
def test_a_blank_admin_key_is_none_and_one_is_made(tmp_path: Path, blank: str) -> None:
    settings = settings_for("sqlite://", tmp_path, admin_key=blank)
    assert settings.admin_key is None
    assert len(admin_key(settings)) > 30
    for file, read in (("admin.key", admin_key), ("encryption.key", encryption_keys)):
        (tmp_path / file).write_text(blank)
        made = read(settings)
        assert len(made if isinstance(made, str) else made[0]) > 30
        assert read(settings) == made
        assert (tmp_path / file).stat().st_mode & 0o77 == 0


def test_the_admin_key_of_the_example_is_refused_with_a_sentence() -> None:
    example = re.search(r"^# AI_AGENTS_ADMIN_KEY=(.+)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert example is not None
    with pytest.raises(ValidationError, match="this is the example's key"):
        Settings(admin_key=example[1])


def test_listening_for_other_machines_without_tls_is_said_in_the_log(tmp_path: Path) -> None:
    settings = settings_for("sqlite://", tmp_path)
    app = create_app(settings)
    warned = {}
    for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "192.0.2.7", socket.gethostname() + ".example.com"):
        with capture_logs() as logs:
            build_server(app, settings, host=host)
        warned[host] = any("without TLS" in line["event"] for line in logs)
    assert [host for host, said in warned.items() if not said] == ["127.0.0.1", "::1", "localhost"]
