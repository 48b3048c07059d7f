"""What a child is told at its start, in its environment."""

import json
import os
from dataclasses import asdict, dataclass

_VARIABLE = "_AI_AGENTS_CHILD"


@dataclass(frozen=True, slots=True)
class Told:
    """`sockets` are the descriptors of the sockets to listen on, for each process a list; `own` is the place in it.

    `control` is the connection to the parent. Each process tells its metrics on the descriptor `metrics` to who knows
    the `secret`; `ports` are where the others do.
    """

    own: int
    sockets: list[list[int]]
    control: int
    metrics: int
    ports: list[int]
    secret: str

    def environment(self) -> dict[str, str]:
        """The environment of the child."""
        return {**os.environ, _VARIABLE: json.dumps(asdict(self))}


def find_told() -> Told | None:
    """What this process was told; None for one that is no child. A second call finds nothing: it has no children."""
    given = os.environ.pop(_VARIABLE, None)
    return None if given is None else Told(**json.loads(given))
