"""What a door is, what its routes have in common, and how its requests are read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated

from fastapi import Header, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from ai_agents.core.rows import Run
from ai_agents.core.types import JsonObject
from app.dependencies import fingerprint
from app.problems import ADMITTED
from app.replays import sent_key
from app.services.repeats import SentKey
from app.strict_json import MAX_VALUES

# For so long a client's library may send a request again.
_RETRIES_S = 600.0


@dataclass(frozen=True, slots=True)
class ClientDoor:
    """A protocol that clients of this service may speak.

    `name` parts its foreign ids from those of other doors. Every path that begins with `prefix` is the door's, whether
    there is a route or not: what is refused there has the form of `refuse`, which takes a problem. Each of `routers`
    is a module with a `router`. Pages of other origins may send `accepted` headers and read `exposed` ones.
    """

    name: str
    prefix: str
    routers: Sequence[ModuleType]
    refusal: Callable[[JsonObject], Response]
    accepted: Sequence[str] = ()
    exposed: Sequence[str] = ()

    def refuse(self, told: JsonObject) -> Response:
        """The answer to a problem, in the form that the door's clients read."""
        return self.refusal(told)


class DoorRoute(APIRoute):
    """A route of a door. Unlike our own routes it ignores query parameters that it does not know."""


def _may_have_more(schema: JsonObject) -> None:
    schema["additionalProperties"] = True
    schema["maxProperties"] = MAX_VALUES


class Lenient(BaseModel):
    """An object of a door's request: what is not known in it is ignored, as clients send new fields every month.

    What is known is as strict as in our own requests. The bounds of every body hold here, too (`app/strict_json.py`).
    """

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, json_schema_extra=_may_have_more)


def admitted(request: Request, run: Run) -> None:
    """Note that the request has begun a run, or repeats one: from now on, clients are told not to send it again."""
    request.scope[ADMITTED] = run


RetryCount = Annotated[
    str | None,
    Header(
        alias="X-Stainless-Retry-Count",
        json_schema_extra={"maxLength": 10},
        description="What an SDK says of its own retries. From 1 on, a request like one of the last ten minutes "
        "repeats it.",
    ),
]


def is_retry(count: str | None) -> bool:
    """Whether a client's library says that it sends this again."""
    return count is not None and count.isascii() and count.isdecimal() and int(count[:10]) > 0


def key_of(request: Request, key: str | None, retry_count: str | None) -> SentKey:
    """By what the request is known again. Its body must have been read.

    Its `Idempotency-Key`, else what it asks for: one that says that it is a retry repeats the last such request of the
    last ten minutes; any other is a new one, even if it is the same.
    """
    if (sent := sent_key(request, key, fingerprint(request, without="stream") if key else "")) is not None:
        return sent
    found = fingerprint(request)
    # No key of a client has a space in it.
    return SentKey(f"retry {found}", found, within_s=_RETRIES_S if is_retry(retry_count) else 0)
