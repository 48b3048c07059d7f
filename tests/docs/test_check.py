"""`ai-agents check`: every point with its true reason, all at once, and nothing changed."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ai_agents.context.providers import seal_secrets
from ai_agents.core.ids import utc_now
from ai_agents.core.table_rows import ProviderRow
from ai_agents.store import providers
from ai_agents.store.database import Database
from ai_agents.store.sealing import Sealer
from app.cli import main
from app.commands import points
from tests.support.redis_server import RedisServer

Check = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """`check(code, **settings)` in an empty directory: the points by their names."""
    monkeypatch.chdir(tmp_path)

    def run(code: int, *arguments: str, **settings: str) -> dict[str, dict[str, Any]]:
        capsys.readouterr()
        with monkeypatch.context() as patched:
            for name, value in settings.items():
                patched.setenv(name, value)
            try:
                main(["check", "--json", *arguments])
                ended = 0
            except SystemExit as end:
                ended = int(end.code or 0)
        found = json.loads(capsys.readouterr().out)
        assert ended == code, found
        return {each["point"]: each for each in found}

    return run


def failed(points_found: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, point in points_found.items() if point["ok"] is False}


def test_a_fresh_directory_lacks_a_database_alone_and_gets_nothing_by_being_looked_at(
    check: Check, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = check(1)
    assert failed(found) == {"database"}
    assert found["database"]["said"].startswith("there is no such file yet: `ai-agents migrate`")
    assert list(tmp_path.iterdir()) == []

    main(["migrate"])
    found = check(0)
    assert found["redis"]["ok"] is found["issuer of JWTs"]["ok"] is None
    assert found["default model"]["said"].startswith("echo, which repeats what it is told: set a provider's key")
    assert found["provider echo"]["said"].startswith("echo answered after ")
    ollama = found["provider ollama"]  # which agents may name without a setting, as `GET /providers` says
    assert ollama["where"] == "http://localhost:11434"
    # This machine may have one.
    assert ollama["ok"] or (ollama["ok"] is None and ollama["said"].endswith("(OLLAMA_HOST sets another address)"))
    assert "provider echo" not in check(0, "--without-providers")
    main(["check"])
    assert "ok      database               sqlite var/ai-agents.db: schema " in capsys.readouterr().out


def test_each_point_that_fails_says_why_and_where_without_secrets(check: Check, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    found = check(
        1,
        AI_AGENTS_DATABASE_URL="postgresql://someone:hush@127.0.0.1:1/agents",
        AI_AGENTS_REDIS_URL="redis://:hush@127.0.0.1:1/0",
        AI_AGENTS_OIDC_ISSUER="http://127.0.0.1:1/realm",
        AI_AGENTS_OIDC_AUDIENCE="agents",
        AI_AGENTS_FILES_DIR=str(tmp_path / "file"),
        AI_AGENTS_DATABASE_POOLSIZE="5",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1/hush",
        AI_AGENTS_DEFAULT_MODEL="house:model",
        AI_AGENTS_PROVIDERS='[{"name": "house", "type": "openai", "base_url": "http://127.0.0.1:1/v1"}]',
    )

    assert failed(found) == {
        "settings", "database", "redis", "worker", "files", "issuer of JWTs", "traces", "provider house",
    }  # fmt: skip
    assert "hush" not in json.dumps(found)
    assert (
        "AI_AGENTS_DATABASE_POOLSIZE is not read: did you mean AI_AGENTS_DATABASE_POOL_SIZE"
        in found["settings"]["said"]
    )
    assert found["database"]["where"] == "postgresql agents at 127.0.0.1:1"
    assert "refused" in found["database"]["said"]
    assert found["redis"]["where"] == "redis://127.0.0.1:1/0"
    assert found["files"]["said"] == "it is no folder"
    assert "refused" in found["traces"]["said"]
    assert found["provider house"]["where"] == "http://127.0.0.1:1/v1"
    assert check(1, AI_AGENTS_PORT="abc") == {
        "settings": {"point": "settings", "ok": False, "where": "", "said": "AI_AGENTS_PORT: should be a whole number"}
    }
    missing = check(1, AI_AGENTS_DEFAULT_MODEL="openai:gpt-4o")["default model"]
    assert "OPENAI_API_KEY" in missing["said"]


def test_servers_that_are_silent_are_waited_for_together(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "_LOOK_S", 0.5)
    monkeypatch.setattr(points, "_MODEL_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        there = f"127.0.0.1:{silent.getsockname()[1]}"
        begun = time.monotonic()

        found = check(
            1,
            AI_AGENTS_DATABASE_URL=f"postgresql://someone@{there}/agents",
            AI_AGENTS_REDIS_URL=f"redis://{there}/0",
            AI_AGENTS_OIDC_ISSUER=f"http://{there}/realm",
            AI_AGENTS_OIDC_AUDIENCE="agents",
            OPENAI_BASE_URL=f"http://{there}/v1",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{there}",
        )

        assert time.monotonic() - begun < 8
    assert failed(found) == {"database", "redis", "worker", "issuer of JWTs", "traces", "provider openai"}


def test_secrets_that_no_key_opens_are_told_and_a_worker_that_is_missing(
    check: Check, postgresql_url: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_AGENTS_DATABASE_URL", postgresql_url)
    monkeypatch.setenv("AI_AGENTS_REDIS_URL", redis_server.url)
    assert failed(check(1)) == {"worker"}

    seal_a_provider(postgresql_url)

    opened = check(1, AI_AGENTS_ENCRYPTION_KEY="the key that has sealed it")
    assert opened["encryption key"]["said"] == "it opens all 1 secrets of the database"
    assert "provider sealed" in opened
    other = check(1, AI_AGENTS_ENCRYPTION_KEY="a key that came later")
    assert other["encryption key"]["said"] == "1 of 1 secrets of the database were sealed with another key"
    assert check(1)["encryption key"]["said"] == "it is gone, and 1 secrets of the database are sealed with it"


def seal_a_provider(url: str) -> None:
    """What `POST /providers` writes."""

    async def write() -> None:
        database = Database(url, pool_size=1)
        sealed = seal_secrets("sk-made-up", {}, Sealer(["the key that has sealed it"]))
        now = utc_now()
        row: ProviderRow = {
            "name": "sealed",
            "type": "openai",
            "preset": None,
            "base_url": "http://127.0.0.1:1/v1",
            "sealed_secrets": sealed,
            "default_model": "m",
            "quirks": {},
            "version": 1,
            "created_at": now,
            "updated_at": now,
        }
        await database.write(lambda c: providers.create_provider(c, row))
        await database.close()

    asyncio.run(write())
