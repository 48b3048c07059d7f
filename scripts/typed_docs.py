"""Check the types of what docs/library.md and docs/client.md show, as users who write `mypy --strict` would find them.

A page's snippets become one module: what stands alone in a notebook, in an `async` function. Run by `make lint`, and
by `make conformance` for pyright.
"""

import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "docs" / "library.md", ROOT / "docs" / "client.md")
# Programs whose libraries have types that strict checks accept.
EXAMPLES = [ROOT / "examples" / name for name in ("httpx_stream.py", "mcp_client.py", "mcp_server.py")]
TYPED = ROOT / "var" / "typed_docs"
_SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def write() -> list[Path]:
    """Write the modules: for each page one of all snippets that follow one another, and each file that it shows."""
    TYPED.mkdir(parents=True, exist_ok=True)
    return [path for page in PAGES for path in _write_page(page)]


def _write_page(page: Path) -> list[Path]:
    following: list[str] = []
    written: list[Path] = []
    for snippet in _SNIPPET.findall(page.read_text(encoding="utf-8")):
        if (shown := re.match(r"# (\w+\.py)", snippet)) is not None:
            written.append(TYPED / f"shown_{shown[1]}")
            written[-1].write_text(snippet, encoding="utf-8")
        else:
            following.append(snippet)
    written.append(TYPED / f"{page.stem}.py")
    body = indent("".join(following), "    ")
    written[-1].write_text(f"async def main() -> None:\n{body}", encoding="utf-8")
    return written


if __name__ == "__main__":
    sys.exit(
        subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", *write(), *EXAMPLES], cwd=ROOT, check=False
        ).returncode
    )
