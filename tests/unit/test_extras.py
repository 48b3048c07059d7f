"""What is not installed is named in a sentence that says what to install; the base is enough for the first README."""

import ast
import asyncio
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from ai_agents import get_provider
from ai_agents.attachments.extraction import Extractor
from ai_agents.attachments.kinds import PDF
from ai_agents.attachments.storage import open_blob_store
from ai_agents.core.exceptions import PackageMissing, ProviderNotConfigured
from ai_agents.core.extras import PACKAGES
from ai_agents.runner.handle import open_handle
from ai_agents.store.migrate import upgrade
from ai_agents.store.sealing import Sealer
from app.container import open_container
from app.settings import Settings
from tests.api.service import check_problem, open_service, settings_for
from tests.docs.python_examples import snippets_of
from tests.fakes import samples
from tests.fakes.answers import say
from tests.fakes.provider_server import FakeProviderServer
from tests.support.hidden import hide
from tests.test_readme import FIRST_README, GIVEN

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
BASE: list[str] = PROJECT["dependencies"]
# Imported where their only user, one of `PACKAGES`, is known to be there; prices are looked for and done without.
WITH_OTHERS = {"anyio": "httpx2", "mcp_types": "mcp", "typing_extensions": "pydantic", "httpcore2": "httpx2"}
DONE_WITHOUT = {"genai_prices"}


def roots_of_imports(directory: Path) -> set[str]:
    """The third-party packages that a folder's modules import, at their top or within functions."""
    found: set[str] = set()
    for path in directory.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"ai_agents", "app", "worker", "migrations"}


def normal(name: str) -> str:
    """A distribution's name in its one form."""
    return re.sub(r"[-_.]+", "-", name).lower()


def modules_of(requirements: list[str]) -> set[str]:
    """The top-level modules that these requirements bring, with all that they require."""
    names: set[str] = set()
    todo = [Requirement(text) for text in requirements]
    while todo:
        required = todo.pop()
        if (key := f"{normal(required.name)}{sorted(required.extras)}") in names:
            continue
        names.add(key)
        for text in distribution(required.name).requires or []:
            inner = Requirement(text)
            extras = required.extras or {""}
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(inner)
    installed = {name.partition("[")[0] for name in names}
    by_module = packages_distributions().items()
    return {module for module, owners in by_module if set(map(normal, owners)) & installed}


def test_errors_name_the_requirements_of_the_project() -> None:
    known = {*BASE, *(requirement for extra in EXTRAS.values() for requirement in extra)}

    assert {requirement for _, requirement in PACKAGES.values()} <= known


def test_the_framework_imports_its_base_and_known_extras_only() -> None:
    imported = roots_of_imports(ROOT / "ai_agents")

    known = {Requirement(text).name.replace("-", "_") for text in BASE} - {"google_re2", "opentelemetry_api"}
    known |= {"re2", "aiohttp", "opentelemetry"}
    assert imported - known - set(PACKAGES) - set(WITH_OTHERS) - DONE_WITHOUT == set()
    assert set(WITH_OTHERS.values()) <= {*PACKAGES, *known}


def test_the_service_extra_repeats_nothing_of_the_base() -> None:
    service = {Requirement(text).name for text in EXTRAS["service"]}

    assert service.isdisjoint({Requirement(text).name for text in BASE})


async def test_a_missing_driver_of_database_or_redis_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    hide(monkeypatch, "asyncpg", "redis", "alembic")
    monkeypatch.delitem(sys.modules, "ai_agents.store.postgres", raising=False)
    monkeypatch.delitem(sys.modules, "ai_agents.bus.redis", raising=False)

    with pytest.raises(PackageMissing, match=r'PostgreSQL needs .* pip install "asyncpg>=0.32,<1"'):
        await open_handle("postgresql://localhost/none")
    with pytest.raises(PackageMissing, match=r'pip install "redis>=8.1,<9"'):
        await open_handle(url, redis_url="redis://localhost:1")
    with pytest.raises(PackageMissing, match=r'pip install "alembic>=1.20,<2"'):
        upgrade(url)


async def test_a_missing_package_of_the_service_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hide(monkeypatch, "obstore", "pypdf", "cryptography")
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7")

    with pytest.raises(PackageMissing, match=r'pip install "obstore>=0.12,<1"'):
        open_blob_store(tmp_path, "s3://bucket/prefix")
    with (tmp_path / "a.pdf").open("rb") as file, pytest.raises(PackageMissing, match=r'pip install "pypdf>=7.1,<8"'):
        await Extractor().extract(file, PDF)
    with pytest.raises(PackageMissing, match=r'pip install "cryptography>=45"'):
        Sealer(["a key that is long enough"]).seal({"authorization": "secret"})
    with pytest.raises(PackageMissing, match=r'pip install "cryptography>=45"'):
        Sealer(["a key that is long enough"]).open("sealed")


@pytest.mark.parametrize(
    "name, package", [("anthropic", "anthropic"), ("openai", "openai"), ("ollama", "httpx2")], ids=str
)
async def test_a_provider_needs_its_package(monkeypatch: pytest.MonkeyPatch, name: str, package: str) -> None:
    hide(monkeypatch, package)
    provider = get_provider(name, model="m", api_key="a-key")

    with pytest.raises(ProviderNotConfigured, match="is not installed: pip install") as raised:
        await provider.prepare()
    assert raised.value.provider == name


async def test_redis_needs_celery(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_server: Any) -> None:
    hide(monkeypatch, "celery")
    settings = Settings(var_dir=tmp_path, redis_url=redis_server.url, admin_key="admin-key-of-the-tests")

    with pytest.raises(PackageMissing, match=r"pip install \"celery\[redis\]>=5.7,<6\""):
        async with open_container(settings):
            pass


async def test_a_missing_package_is_a_problem(monkeypatch: pytest.MonkeyPatch, sqlite_url: str, tmp_path: Path) -> None:
    async with open_service(settings_for(sqlite_url, tmp_path, outbound_allow="127.0.0.1:9")) as service:
        admin = await service.admin()
        hide(monkeypatch, "mcp", "mcp_types", "cryptography", "pypdf")
        server = {"type": "mcp", "name": "server", "url": "http://127.0.0.1:9/mcp"}
        sealed = {
            "type": "http", "name": "call", "description": "Calls.", "url": "http://127.0.0.1:9/", "method": "GET",
            "parameters": {"type": "object", "properties": {}}, "headers": {"authorization": "secret"},
        }  # fmt: skip
        answers = {
            "mcp": await admin.post("/tools", json=server),
            "cryptography": await admin.post("/tools", json=sealed),
            "pypdf": await admin.post("/files", files={"file": ("a.pdf", samples.pdf("Hello"), "application/pdf")}),
        }
        for package, answer in answers.items():
            detail = check_problem(answer, 422, "invalid_request")["detail"]
            assert detail.endswith(f'which is not installed: pip install "{PACKAGES[package][1]}".')


@pytest.mark.parametrize(
    "command, package, sentence",
    [
        ("worker", "celery", "The service needs the package celery, which is not installed"),
        ("serve", "fastapi", "The service needs the package fastapi, which is not installed"),
        ("serve", "pydantic_settings", "The service needs the package pydantic_settings, which is not installed"),
        (
            "worker",
            "obstore",
            "Keeping files in a bucket needs the package obstore, which is not installed: pip install",
        ),
        ("migrate", "alembic", "Migrating a database needs the package alembic, which is not installed: pip install"),
    ],
)
def test_a_command_names_its_missing_package(tmp_path: Path, command: str, package: str, sentence: str) -> None:
    program = "import sys; sys.modules[sys.argv.pop()] = None; from ai_agents.cli import main; main()"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AI_AGENTS_")}
    settings = {
        "PYTHONPATH": str(ROOT),
        "AI_AGENTS_REDIS_URL": "redis://localhost:1",
        "AI_AGENTS_FILES_URL": "s3://bucket/prefix",
    }

    ended = subprocess.run(
        [sys.executable, "-c", program, command, package],
        cwd=tmp_path, env=kept | settings, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ended.stderr.startswith(sentence), ended.stderr
    assert ended.returncode in {1, 2}
    assert len(ended.stderr.splitlines()) == 1


# Runs the snippets of a page where only the base is to be found.
BASE_ALONE = """
import asyncio, json, sys
from tests.docs.python_examples import run_snippet
given = json.load(sys.stdin)
sys.modules.update(dict.fromkeys(given["hidden"]))
async def main():
    names = {}
    for snippet in given["snippets"]:
        await run_snippet(snippet, names)
        if "thread" in names:
            names["thread_id"] = names["thread"]["id"]
    await names["conn"].close()
asyncio.run(main())
"""


async def test_the_base_alone_runs_the_snippets_of_the_readme(tmp_path: Path) -> None:
    base = modules_of(BASE)
    assert {"anthropic", "sqlalchemy", "re2", "greenlet"} <= base
    hidden = set(packages_distributions()) - base - {"ai_agents", "app", "worker", "tests", "migrations"}
    assert {"fastapi", "asyncpg", "redis", "celery", "alembic", "mcp", "obstore", "pydantic_settings"} <= hidden
    # A web service of the reader's own brings its own framework.
    snippets = [GIVEN, *(snippet for snippet in snippets_of(FIRST_README) if "fastapi" not in snippet)]
    assert len(snippets) >= 5
    async with FakeProviderServer() as fake:
        fake.script("anthropic", [say("Hello from the model."), say("Str", "eamed.")])
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", BASE_ALONE,
            cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT), "ANTHROPIC_BASE_URL": fake.base_url("anthropic")},
        )  # fmt: skip
        given = json.dumps({"hidden": sorted(hidden), "snippets": snippets}).encode()
        output, errors = await asyncio.wait_for(process.communicate(given), 60)

    assert process.returncode == 0, errors.decode()
    assert b"Hello from the model." in output
