"""Ask whether advisories are known for what `requirements.lock` pins (pip-audit).

That takes a database of advisories. Where none can be reached, this says that nothing was asked, and is no failure.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
_TIMEOUT_S = 60
_NOT_ASKED = "pip-audit was not run: no database of advisories can be reached from here."


def main() -> int:
    """Print what is known, or that it was not asked; 1 if there is an advisory."""
    dependencies = ask()
    asked = [each for each in dependencies if "skip_reason" not in each]
    if not asked:
        print(_NOT_ASKED)
        return 0
    found = [(each, advisory) for each in asked for advisory in each["vulns"]]
    for each, advisory in found:
        fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
        print(f"{each['name']} {each['version']}: {advisory['id']}, fixed in {fixed}")
    skipped = len(dependencies) - len(asked)
    print(f"pip-audit: {len(found)} advisories for {len(asked)} packages, {skipped} packages not known there")
    return 1 if found else 0


def ask() -> list[dict[str, Any]]:
    """What pip-audit tells of each package; nothing if it could not ask."""
    pinned = ("--requirement", str(LOCK), "--no-deps", "--disable-pip")
    quiet = ("--progress-spinner", "off", "--format", "json", "--timeout", "5")
    command = [sys.executable, "-m", "pip_audit", *pinned, *quiet]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_TIMEOUT_S)
        told: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return []
    return told


if __name__ == "__main__":
    sys.exit(main())
