"""Build what is released, install it in an empty environment, and run the quick start from there.

`make release-check` calls it. It needs pip to reach packages; an image is built where an engine of containers runs.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What a new user does first: no key, no service. The provider `echo` answers.
QUICK_START = """
import asyncio
import ai_agents

async def main():
    conn = await ai_agents.connect("sqlite:///agents.db")
    auth = ai_agents.RoleAuth(conn)
    memory = ai_agents.get_memory_strategy("last_n", n=20)
    runner = ai_agents.AgentRunner(conn, auth, ai_agents.get_provider("echo"), memory)
    agent = await ai_agents.AgentStore(conn).create(name="assistant")
    thread = await ai_agents.ThreadStore(conn).create(agent_id=agent["id"])
    await auth.assign_role("ada", "owner", "thread", thread["id"])
    answer = await runner.run(thread["id"], "ada", "Hello!")
    assert answer["content"], answer
    async for chunk in runner.stream(thread["id"], "ada", "And again."):
        print(chunk, end="", flush=True)
    print()
    await conn.close()

asyncio.run(main())
print(ai_agents.__version__)
"""


def main() -> None:
    """Check everything; end with status 1 and a sentence at the first thing that is wrong."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    _check_papers(version)
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        _run(sys.executable, "-m", "hatchling", "build", "-d", str(directory))
        wheel, sdist = directory / f"ai_agents-{version}-py3-none-any.whl", directory / f"ai_agents-{version}.tar.gz"
        _check_contents(wheel, sdist, version)
        python = directory / "venv" / "bin" / "python"
        venv.create(directory / "venv", with_pip=True)
        _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
        (directory / "quick_start.py").write_text(QUICK_START)
        told = _run(str(python), "quick_start.py", cwd=directory)
        _require(told.splitlines()[-1] == version, f"The installed package says another version: {told}")
        command = subprocess.run(
            [directory / "venv" / "bin" / "ai-agents"], capture_output=True, text=True, check=False
        )
        _require(command.returncode == 2, "The command of the wheel does not say where the service runs.")
    _build_image()
    print(f"{version} can be released.")


def _check_papers(version: str) -> None:
    changes = (ROOT / "CHANGELOG.md").read_text()
    _require("## [Unreleased]" in changes, "CHANGELOG.md has no part for what is not released.")
    document = (ROOT / "openapi.yaml").read_text()
    _require(f"version: {version}\n" in document, "openapi.yaml has another version: run `make openapi`.")


def _check_contents(wheel: Path, sdist: Path, version: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for needed in ("ai_agents/py.typed", "ai_agents/migrations/env.py"):
        _require(needed in names, f"The wheel lacks {needed}.")
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    for needed in ("pyproject.toml", "LICENSE", "README.md", "migrations/env.py"):
        _require(f"ai_agents-{version}/{needed}" in names, f"The source distribution lacks {needed}.")


def _build_image() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode != 0:
        print("No engine of containers runs here: the image is not built.")
        return
    _run(docker, "build", "--tag", "ai-agents:release-check", ".")
    print(_run(docker, "run", "--rm", "ai-agents:release-check", "ai-agents", "--version").strip())


def _run(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    _require(done.returncode == 0, f"{' '.join(command[:6])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        sys.exit(sentence)


if __name__ == "__main__":
    main()
