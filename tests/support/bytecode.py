"""The bytecode of the tests, made once for all processes of a run.

Each process would rewrite every assertion by itself, as they begin at the same time: in a new checkout that takes each
one as long as all that it loads.
"""

import compileall
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

TESTS = Path(__file__).parent.parent


def make_bytecode(config: pytest.Config) -> None:
    """Make what is missing or older than its source, as pytest makes and finds it."""
    if sys.dont_write_bytecode or config.getoption("assertmode") != "rewrite":
        return
    patterns = ["conftest.py", *config.getini("python_files")]
    for path in sorted(TESTS.rglob("*.py")):
        if any(fnmatch(path.name, pattern) for pattern in patterns):
            _rewrite(path, config)
        else:
            compileall.compile_file(path, quiet=1)


def _rewrite(path: Path, config: pytest.Config) -> None:
    kept = rewrite.get_cache_dir(path) / f"{path.stem}{rewrite.PYC_TAIL}"
    if kept.exists() and kept.stat().st_mtime > path.stat().st_mtime:
        return
    kept.parent.mkdir(exist_ok=True)
    source, code = rewrite._rewrite_test(path, config)
    rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, source, kept)
