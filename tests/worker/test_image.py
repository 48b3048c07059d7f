"""What is installed without a checkout: the wheel, and the image's commands in a folder laid out as the image is."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder

from tests.support.processes import children_of, free_port, wait_until
from tests.support.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
NO_SERVICE = "The command ai-agents runs the service from a checkout or from its image, and there is none here.\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built as pip builds it."""
    directory = tmp_path_factory.mktemp("wheel")
    return Path(next(WheelBuilder(str(ROOT)).build(directory=str(directory), versions=["standard"])))


def scripts_of(wheel: Path) -> dict[str, str]:
    """The commands that the wheel installs: `module:function` by name."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt")]
        parser = ConfigParser()
        parser.read_string(archive.read(name).decode())
    return dict(parser["console_scripts"])


def make_environment(directory: Path, wheel: Path) -> Path:
    """A virtual environment with this one's dependencies and the wheel's commands, but none of this checkout's code."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)
    (packages,) = directory.glob("lib/python*/site-packages")
    # What a folder's own .pth files name, such as this checkout, is not followed from here.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    celery = {point.name: point.value for point in entry_points(group="console_scripts", name="celery")}
    for name, target in (scripts_of(wheel) | celery).items():
        module, function = target.split(":")
        script = directory / "bin" / name
        script.write_text(
            f"#!{directory}/bin/python\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        )
        script.chmod(0o755)
    return directory


def environment(**changes: str) -> dict[str, str]:
    foreign = re.compile(r"AI_AGENTS_|ANTHROPIC_|OPENAI_|OLLAMA_|PYTHONPATH|HOST$|PORT$", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if not foreign.match(name)} | changes


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


class Image:
    """A folder laid out as the image is; its commands run as Dockerfile and docker-compose.yml have them."""

    def __init__(self, root: Path, wheel: Path, **settings: str) -> None:
        self.root = root
        self.directory = root / "srv"
        (self.directory / "var").mkdir(parents=True)
        build, _ = re.split(r"\n\nFROM ", DOCKERFILE)
        for what in re.findall(r"^COPY (.*)$", build, re.MULTILINE):
            *sources, _target = what.split()
            for source in sources:
                self._copy(ROOT / source, self.directory / source)
        venv = make_environment(root / "opt" / "venv", wheel)
        (variables,) = re.findall(r"^ENV (.*)$", DOCKERFILE, re.MULTILINE)
        self._environment = environment(**settings)
        for name, value in (assignment.split("=") for assignment in variables.split()):
            here = value.replace("/opt/venv", str(venv)).replace("/srv", str(self.directory))
            self._environment[name] = here.replace("$PATH", os.environ["PATH"])
        self._environment["PORT"] = str(free_port())

    def _copy(self, source: Path, target: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            command,
            cwd=self.directory, env=self._environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    @contextmanager
    def running(self, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command until the end of the context; SIGTERM ends it."""
        with (self.root / "log").open("ab") as log:
            process = subprocess.Popen(command, cwd=self.directory, env=self._environment, stdout=log, stderr=log)
        try:
            yield process
            process.terminate()
            assert process.wait(60) == 0, self.log
        finally:
            for pid in (*children_of(process.pid), process.pid):
                if process.poll() is None:
                    os.kill(pid, 9)
            process.wait(10)

    @property
    def log(self) -> str:
        """What the commands have printed."""
        return (self.root / "log").read_text()


def command_of(test: list[str]) -> list[str]:
    """A health check of docker-compose.yml as Docker runs it."""
    kind, *command = test
    assert kind == "CMD"
    return command


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

    assert COMPOSE["api"]["command"] == json.loads(re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[-1])
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
