"""The tree of errors at the head of the module is the tree of its classes."""

import re

from ai_agents.core import exceptions
from ai_agents.core.exceptions import AIAgentsError


def _drawn() -> dict[str, str | None]:
    """Each error of the drawing, with the error under which it stands."""
    found: dict[str, str | None] = {}
    above: dict[int, str] = {}
    for line in (exceptions.__doc__ or "").splitlines():
        branch = re.match(r"((?:[│ ] {3})*[├└]── )?([A-Z]\w+(?: · [A-Z]\w+)*)(?: {3,}.*)?$", line)
        if branch is None:
            continue
        depth = len(branch[1] or "") // 4
        for name in branch[2].split(" · "):
            found[name] = above.get(depth - 1)
        above[depth] = branch[2]
    return found


def _children(kind: type[AIAgentsError]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for child in kind.__subclasses__():
        if child.__module__.startswith(exceptions.__name__):
            found |= {child.__name__: kind.__name__} | _children(child)
    return found


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    assert _drawn() == {"AIAgentsError": None} | _children(AIAgentsError)
