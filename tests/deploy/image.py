"""A folder laid out as the image is, and its commands: what docker-compose.yml starts, without an engine."""

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

import yaml
from hatchling.builders.wheel import WheelBuilder

from tests.support.processes import children_of, free_port

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def build_wheel(directory: Path) -> Path:
    """The project's wheel, built as pip builds it."""
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
            f"#!{directory}/bin/python\nimport sys\nfrom {module} import {function}\n"
            f"if __name__ == '__main__':\n    sys.exit({function}())\n"
        )
        script.chmod(0o755)
    return directory


def environment(**changes: str) -> dict[str, str]:
    foreign = re.compile(r"AI_AGENTS_|ANTHROPIC_|OPENAI_|OLLAMA_|PYTHONPATH|HOST$|PORT$", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if not foreign.match(name)} | changes


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

    def run(self, command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            command,
            cwd=self.directory, env=self._environment | variables, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip

    @contextmanager
    def running(self, command: list[str], **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command until the end of the context; SIGTERM ends it."""
        environment = self._environment | variables
        with (self.root / "log").open("ab") as log:
            process = subprocess.Popen(command, cwd=self.directory, env=environment, stdout=log, stderr=log)
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
