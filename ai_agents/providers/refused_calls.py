"""Which tool a model meant where its server refused the call that it wrote, as Groq does (`tool_use_failed`). Pure.

Source: https://console.groq.com/docs/tool-use ("failed_generation"), read 2026-11-30.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ai_agents.providers.assembly import raw_arguments

# How models write calls as text: as JSON that is cut or broken, or between tags.
_NAMED = re.compile(r'"name"\s*:\s*"([A-Za-z0-9_-]{1,64})"|<function[=(]([A-Za-z0-9_-]{1,64})')
_ARGUMENTS = ("arguments", "parameters")


def find_call(written: str, offered: Iterable[str]) -> tuple[str, str] | None:
    """The name of the tool that this text calls, and the arguments as they were written.

    None where it calls none, or several.
    """
    try:
        whole: Any = json.loads(written, strict=False)
    except (ValueError, RecursionError):
        whole = None
    calls = [call for call in _objects(whole) if isinstance(call.get("name"), str) and call["name"]]
    if len(calls) == 1:
        arguments = next((calls[0][name] for name in _ARGUMENTS if name in calls[0]), written)
        return calls[0]["name"], raw_arguments(arguments)
    names = {first or second for first, second in _NAMED.findall(written)}
    if not names:
        names = {name for name in offered if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", written)}
    return (names.pop(), written) if len(names) == 1 else None


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """The calls that a value may hold: itself, what is in its list, or in its `function`."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            yield each["function"] if isinstance(each.get("function"), dict) else each
