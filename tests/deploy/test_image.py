"""What is installed without a checkout: the wheel, and the image's commands in a folder laid out as the image is."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.deploy.image import (
    Image,
    build_wheel,
    environment,
    make_environment,
    scripts_of,
)

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


def test_the_image_migrates_sqlite_without_settings(wheel: Path, tmp_path: Path) -> None:
    image = Image(tmp_path, wheel)

    assert image.run(["ai-agents", "migrate"]).stdout == "The database is up to date.\n"

    assert sorted(path.name for path in (image.directory / "var").iterdir()) == ["ai-agents.db"]
