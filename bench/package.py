"""A package whose tool blocks, for the service under measurement to find."""

from pathlib import Path

# A package, as pip leaves one: the service finds its tool by itself.
_MODULE = '''
import hashlib
import time

from ai_agents import Tool


class Block(Tool):
    """Blocks its thread for two seconds: waiting at first, then at work."""

    name = "block"

    def execute(self) -> str:
        time.sleep(1)
        until = time.monotonic() + 1
        while time.monotonic() < until:
            hashlib.sha256(bytes(1_000_000)).hexdigest()
        return "done"
'''
_ENTRY_POINTS = "[ai_agents.tools]\nblock = blocking_tool:Block\n"


def install_blocking_tool(directory: Path) -> None:
    """Put the package into a directory of the service's Python path."""
    (directory / "blocking_tool.py").write_text(_MODULE)
    info = directory / "blocking_tool-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: blocking-tool\nVersion: 1\n")
    (info / "entry_points.txt").write_text(_ENTRY_POINTS)
