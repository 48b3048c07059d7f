"""What is installed without a checkout: the wheel, and the image's commands in a folder laid out as the image is."""

import json
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.deploy.image import (
    COMPOSE,
    DOCKERFILE,
    Image,
    build_wheel,
    command_of,
    environment,
    make_environment,
    scripts_of,
)
from tests.support.processes import wait_until
from tests.support.redis_server import RedisServer

NO_SERVICE = "The command ai-agents runs the service from a checkout or from its image, and there is none here.\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built as pip builds it."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_takes_no_name_but_its_own(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}

    assert {top for top in tops if not top.endswith(".dist-info")} == {"ai_agents"}
    assert scripts_of(wheel) == {"ai-agents": "ai_agents.cli:main"}


@pytest.mark.parametrize("other", [None, "an app", "an app with a command line", "an app that breaks"])
def test_an_installed_framework_says_where_the_service_runs(wheel: Path, tmp_path: Path, other: str | None) -> None:
    packages = tmp_path / "packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    if other is not None:
        (packages / "app").mkdir()
        (packages / "app" / "__init__.py").write_text("def (" if other == "an app that breaks" else "print('not ours')")
    if other == "an app with a command line":
        (packages / "app" / "cli.py").write_text("def main(): print('not ours')")
    made = make_environment(tmp_path / "venv", wheel)

    ended = subprocess.run(
        [made / "bin" / "ai-agents", "serve"],
        cwd=tmp_path, env=environment(PYTHONPATH=str(packages)),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", NO_SERVICE)


def test_migrations_are_found_in_an_installed_framework(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "packages")
    made = make_environment(tmp_path / "venv", wheel)
    program = "from ai_agents.store.migrate import is_current, upgrade; upgrade(URL); assert is_current(URL)"

    subprocess.run(
        [made / "bin" / "python", "-c", program.replace("URL", "'sqlite:///a.db'")],
        cwd=tmp_path, env=environment(PYTHONPATH=str(tmp_path / "packages")), timeout=60, check=True,
    )  # fmt: skip


def test_the_images_commands_run(wheel: Path, tmp_path: Path, postgresql_url: str, redis_server: RedisServer) -> None:
    image = Image(
        tmp_path, wheel, AI_AGENTS_DATABASE_URL=postgresql_url, AI_AGENTS_REDIS_URL=redis_server.url,
        AI_AGENTS_WORKER_CONCURRENCY="1",
    )  # fmt: skip
    (health,) = re.findall(r"^HEALTHCHECK .*?CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    where = image.run(["python", "-c", "import ai_agents, app, worker, migrations; print(ai_agents.__file__)"])
    assert where.stdout.strip() == str(image.directory / "ai_agents" / "__init__.py"), where.stderr

    migrated = image.run(COMPOSE["migrate"]["command"])
    assert (migrated.returncode, migrated.stdout) == (0, "The database is up to date.\n"), migrated.stderr
    assert image.run(json.loads(health)).returncode != 0, "nothing listens yet"

    assert json.loads(re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[-1]) == ["ai-agents", "serve"]
    with image.running(COMPOSE["api"]["command"]):
        # A check costs as much as the start: it is made once they are there.
        wait_until(lambda: "Uvicorn running" in image.log, what="the service to listen")
        wait_until(lambda: image.run(json.loads(health)).returncode == 0, what="the service to be healthy")
    with image.running(COMPOSE["worker"]["command"]):
        healthy = command_of(COMPOSE["worker"]["healthcheck"]["test"])
        wait_until(lambda: " ready." in image.log, what="the worker to take jobs")
        wait_until(lambda: image.run(healthy).returncode == 0, what="the worker to be healthy")


def test_the_image_migrates_sqlite_without_settings(wheel: Path, tmp_path: Path) -> None:
    image = Image(tmp_path, wheel)

    assert image.run(["ai-agents", "migrate"]).stdout == "The database is up to date.\n"

    assert sorted(path.name for path in (image.directory / "var").iterdir()) == ["ai-agents.db"]
