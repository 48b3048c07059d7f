"""Tools of installed packages: the entry-point group `ai_agents.tools`.

An entry point is a tool, or a class or function without arguments that returns one tool or several.
"""

import logging
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from ai_agents.tools.base import Tool
from ai_agents.tools.registry import ToolRegistry, default_registry

GROUP = "ai_agents.tools"
_log = logging.getLogger(__name__)


def load_tools(registry: ToolRegistry | None = None) -> list[str]:
    """Register the tools of installed packages and return their names. By default every agent may name them.

    A package whose tools cannot be loaded or registered is logged and left out.
    """
    registry = default_registry if registry is None else registry
    names: list[str] = []
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        try:
            for tool in _tools_of(point):
                registry.register(tool)
                names.append(tool.get_definition().name)
        except (Exception, SystemExit):  # noqa: BLE001  # a broken package must not keep the service from starting
            _log.exception(
                "the tools of a package could not be loaded", extra={"tool": f"{point.name} = {point.value}"}
            )
    return names


def _tools_of(point: EntryPoint) -> Iterator[Tool]:
    found: Any = point.load()
    if not isinstance(found, Tool) and callable(found):
        found = found()
    if isinstance(found, Iterable):
        yield from found
    else:
        yield found
