"""Make `.venv` with the locked dependencies and this project. A second call finds nothing to do.

Runs on the standard library of any Python >= 3.11. A stamp in `.venv` is a hash of what was installed; it is written
last, so that an interrupted install starts again from the beginning.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UNFINISHED = VENV / ".unfinished"
LOCKS = {"run": "requirements.lock", "dev": "requirements-dev.lock"}


def main(kind: str, *, only_check: bool = False) -> None:
    """Bring the environment of `kind` (`run` or `dev`) up to date; with `only_check`, exit with 1 if it is not."""
    if kind not in LOCKS:
        sys.exit(f"unknown environment {kind!r}: one of {', '.join(LOCKS)}")
    if only_check:
        sys.exit(0 if _is_current(kind) or _is_current("dev") else 1)
    with (ROOT / "pyproject.toml").open("rb") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # `make run` and `make test` may start together
        if not (_is_current(kind) or _is_current("dev")):
            _install(kind)


def _is_current(kind: str) -> bool:
    # The `dev` environment holds everything of `run`, so callers also check that one.
    stamp = _stamp(kind)
    return PYTHON.exists() and stamp.is_file() and stamp.read_text() == _fingerprint(kind)


def _install(kind: str) -> None:
    if UNFINISHED.exists() or not _works():
        _create()
    UNFINISHED.touch()
    print(f"Installing {LOCKS[kind]} into .venv (this takes a minute, once) ...", flush=True)
    _pip("-r", str(ROOT / LOCKS[kind]))
    _pip("--no-deps", "-e", str(ROOT))
    own = [name for name in ("ai_agents", "app", "worker", "migrations") if (ROOT / name).is_dir()]
    subprocess.run([PYTHON, "-m", "compileall", "-q", *own], cwd=ROOT, check=True)
    for satisfied in {kind, "run"}:
        _stamp(satisfied).write_text(_fingerprint(satisfied))
    UNFINISHED.unlink()


def _stamp(kind: str) -> Path:
    return VENV / f".installed-{kind}"


def _fingerprint(kind: str) -> str:
    """A hash of what an environment of `kind` is made from, and of its path: a copy points at the original."""
    made_from = [ROOT / "pyproject.toml", *(ROOT / lock for lock in sorted({LOCKS["run"], LOCKS[kind]}))]
    digest = hashlib.sha256(str(ROOT).encode())
    for path in made_from:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _works() -> bool:
    """Whether `.venv` holds a Python that starts, is new enough and was made for this path."""
    probe = "import sys; sys.exit(sys.version_info < (3, 11) or sys.prefix != sys.argv[1])"
    placed = VENV / "bin" / "pip"
    if not PYTHON.exists() or (placed.exists() and str(VENV).encode() not in placed.read_bytes()[:500]):
        return False
    return subprocess.run([PYTHON, "-c", probe, str(VENV)], check=False, capture_output=True).returncode == 0


def _create() -> None:
    shutil.rmtree(VENV, ignore_errors=True)
    create = [sys.executable, "-m", "venv", str(VENV)]
    # Some systems ship Python without ensurepip; then uv or the system's pip installs into the environment.
    if not _run(*create, quiet=True) and not _run(*create, "--clear", "--without-pip"):
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit(f"{sys.executable} cannot make a virtual environment (see above).")


def _pip(*arguments: str) -> None:
    """Install with uv if there is one, otherwise or if uv fails with pip: uv does not read pip's settings."""
    uv = shutil.which("uv")
    if uv and _run(uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(PYTHON), *arguments):
        return
    has_pip = _run(str(PYTHON), "-c", "import pip", quiet=True)
    pip = [str(PYTHON), "-m", "pip"] if has_pip else [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    if not _run(*pip, "install", "-qq", "--disable-pip-version-check", *arguments):
        sys.exit("The dependencies could not be installed (see above); the next start tries again.")


def _run(*command: str, quiet: bool = False) -> bool:
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=quiet).returncode == 0


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    arguments: Sequence[str] = sys.argv[1:] or ["run"]
    main(arguments[0], only_check="--check" in arguments)
