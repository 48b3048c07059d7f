"""Check the types of what docs/library.md shows, as users who write `mypy --strict` would find them.

The page's snippets become one module: what stands alone in a notebook, in an `async` function. Run by `make lint`, and
by `make conformance` for pyright.
"""

import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "library.md"
TYPED = ROOT / "var" / "typed_docs"
_SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def write() -> list[Path]:
    """Write the modules: one of all snippets that follow one another, and each file that the page shows."""
    TYPED.mkdir(parents=True, exist_ok=True)
    following: list[str] = []
    written: list[Path] = []
    for snippet in _SNIPPET.findall(PAGE.read_text(encoding="utf-8")):
        if (shown := re.match(r"# (\w+\.py)", snippet)) is not None:
            written.append(TYPED / f"shown_{shown[1]}")
            written[-1].write_text(snippet, encoding="utf-8")
        else:
            following.append(snippet)
    written.append(TYPED / "library.py")
    body = indent("".join(following), "    ")
    written[-1].write_text(f"async def main() -> None:\n{body}", encoding="utf-8")
    return written


if __name__ == "__main__":
    sys.exit(subprocess.run([sys.executable, "-m", "mypy", "--strict", *write()], cwd=ROOT, check=False).returncode)
