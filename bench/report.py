"""The figures as a table, and what they were measured on."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from bench.measures import Figures

_PACKAGES = ("fastapi", "uvicorn", "uvloop", "sqlalchemy", "asyncpg", "redis", "openai", "aiohttp")


def print_table(found: Mapping[str, Figures]) -> None:
    """One row for each figure, one column for each database."""
    names = list(dict.fromkeys(name for figures in found.values() for name in figures))
    width = max(map(len, names), default=0)
    print()
    print(" " * width, *(f"{database:>20}" for database in found))
    for name in names:
        print(f"{name:{width}}", *(f"{_shown(figures.get(name)):>20}" for figures in found.values()))


def _shown(figure: float | None) -> str:
    if figure is None:
        return ""
    return f"{figure:,.0f}" if abs(figure) >= 1000 else f"{figure:.3g}"


def facts() -> dict[str, str]:
    """The machine and the versions."""
    processor = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "processor": f"{processor}, {os.cpu_count()} cores",
        "memory": f"{memory / 1e6:.1f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "revision": _revision(),
        **{package: version(package) for package in _PACKAGES},
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _revision() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip()
