"""Refresh the page's vendored libraries: `python -m scripts.vendor`.

Reads `app/console/vendor/vendor.json`, fetches each package by `npm pack`, takes the named files out of it, and writes
their hashes back. Change a version or an icon's name there, run this, look at what changed, and commit it.
"""

import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

_MAP = re.compile(r"^(//|/\*)# sourceMappingURL=.*$", re.MULTILINE)
VENDOR = Path(__file__).parent.parent / "app" / "console" / "vendor"


def main() -> None:
    """Write all vendored files and their hashes."""
    listed = json.loads((VENDOR / "vendor.json").read_text())
    for library in listed["libraries"]:
        with tempfile.TemporaryDirectory() as directory:
            package = _fetch(f"{library['name']}@{library['version']}", Path(directory))
            for file in library["files"]:
                (VENDOR / file["file"]).write_text(_content(package, file))
                file["sha256"] = hashlib.sha256((VENDOR / file["file"]).read_bytes()).hexdigest()
    (VENDOR / "vendor.json").write_text(json.dumps(listed, indent=2) + "\n")


def _fetch(package: str, directory: Path) -> Path:
    """The unpacked package."""
    subprocess.run(["npm", "pack", "--silent", package], cwd=directory, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(next(directory.glob("*.tgz"))) as archive:
        archive.extractall(directory, filter="data")
    return directory / "package"


def _content(package: Path, file: dict[str, Any]) -> str:
    if "icons" in file:
        return _icons(json.loads((package / file["from"]).read_text()), file["icons"])
    text = (package / file["from"]).read_text()
    for old, new in file.get("replaced", []):
        if old not in text:
            raise SystemExit(f"{file['from']}: {old!r} is not in it.")
        text = text.replace(old, new)
    # Browsers would ask for the map, which is not here. Lines end at LF alone: a script's texts may have other ends.
    lines = [line.rstrip(" \t\r") for line in _MAP.sub("", text).split("\n")]
    return "\n".join(lines).rstrip() + "\n"


def _icons(nodes: dict[str, Any], names: list[str]) -> str:
    """A module with the shapes of these icons, one a line: `name: [[element, attributes], …]`."""
    unknown = [name for name in names if name not in nodes]
    if unknown:
        raise SystemExit(f"There are no such icons: {', '.join(unknown)}")
    lines = [f"  {json.dumps(name)}: {json.dumps(nodes[name], separators=(',', ':'))}," for name in sorted(set(names))]
    return "\n".join(
        ["// Shapes of Lucide (ISC licence, lucide.LICENSE).", "export const SHAPES = {", *lines, "};", ""]
    )


if __name__ == "__main__":
    main()
