"""The files for deployment agree with the code."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import AliasChoices

from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
# Read by docker-compose.yml itself.
OF_COMPOSE = {"POSTGRES_PASSWORD", "REDIS_PASSWORD"}


def variables_of(name: str) -> set[str]:
    """The environment variables that set a field of the settings."""
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return {str(choice) for choice in alias.choices}
    return {str(alias)} if alias else {f"AI_AGENTS_{name.upper()}"}


def test_env_example_names_every_setting() -> None:
    text = (ROOT / ".env.example").read_text()
    shown = set(re.findall(r"^# ([A-Z][A-Z_]+)=", text, re.MULTILINE))
    variables = [variables_of(name) for name in Settings.model_fields]

    assert [missing for missing in variables if not missing & shown] == []
    assert shown - set().union(*variables) == OF_COMPOSE


def test_env_example_sets_nothing_until_it_is_edited() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()

    assert [line for line in lines if line and not line.startswith("#")] == []


@pytest.mark.parametrize("service, command", [("api", "serve"), ("worker", "worker"), ("migrate", "migrate")])
def test_a_container_runs_the_command_of_the_checkout(service: str, command: str) -> None:
    assert COMPOSE["services"][service]["command"] == ["ai-agents", command]
    assert COMPOSE["services"][service]["environment"]["AI_AGENTS_DATABASE_URL"].startswith("postgresql+asyncpg://")


def test_the_worker_reaches_the_files_that_the_service_keeps() -> None:
    api, worker = COMPOSE["services"]["api"], COMPOSE["services"]["worker"]

    assert "var:/srv/var" in api["volumes"]
    assert worker["volumes"] == api["volumes"]


@pytest.mark.parametrize("service", ["api", "worker"])
def test_nothing_starts_before_the_database_is_migrated(service: str) -> None:
    waits_for = COMPOSE["services"][service]["depends_on"]

    assert waits_for["migrate"] == {"condition": "service_completed_successfully"}


def test_redis_asks_for_the_password_that_the_service_gives() -> None:
    redis, password = COMPOSE["services"]["redis"], "${REDIS_PASSWORD:-ai-agents}"

    assert redis["command"][redis["command"].index("--requirepass") + 1] == password
    assert redis["environment"]["REDISCLI_AUTH"] == password
    for service in ("api", "worker"):
        url = COMPOSE["services"][service]["environment"]["AI_AGENTS_REDIS_URL"]
        assert url == f"redis://:{password}@redis:6379/0"


def test_only_exact_versions_are_locked() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock"):
        lines = (ROOT / lock).read_text().splitlines()
        assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[A-Za-z0-9.+!]+", line)] == []


def test_both_locks_have_the_same_versions() -> None:
    run, dev = (set((ROOT / lock).read_text().splitlines()) for lock in ("requirements.lock", "requirements-dev.lock"))

    assert run <= dev
