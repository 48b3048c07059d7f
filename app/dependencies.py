"""What routes ask for before they do anything, in the contract's order: who is it, may he see it, what did he send.

FastAPI resolves dependencies in the order of a route's parameters, and checks query parameters after them all. So each
route names first the user, then the thing (404 where he may not see it), then the body.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Query, Request

from ai_agents.auth.roles import ThreadAccess
from ai_agents.core.exceptions import AgentNotFound, InvalidEventId, NotFound, ThreadNotFound
from ai_agents.core.ids import is_id
from ai_agents.store.idempotency import checked_key
from ai_agents.store.pages import MAX_SEQ
from ai_agents.streams.cursor import parse_event_id
from app.container import Container, Principal
from app.middleware import USER_ID
from app.problems import RateLimited, Unauthorized


async def container_of(request: Request) -> Container:
    """What the service is made of."""
    container: Container = request.app.state.container
    return container


async def authenticated(request: Request) -> Principal:
    """Whom the request's key belongs to. Raises `Unauthorized`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized
    container: Container = request.app.state.container
    found = await container.authenticate(token.strip())
    if found is None:
        raise Unauthorized("This API key is not known here, or has expired.")
    await _count(request, found)
    return found


async def _count(request: Request, user: Principal) -> None:
    """Count a request of the user's. Raises `RateLimited`, but not for one whose idempotency key was used before."""
    request.scope[USER_ID] = user.user_id
    try:
        request.app.state.rates.check(user)
    except RateLimited:
        key = request.headers.get("idempotency-key")
        if key is None or not await request.app.state.container.is_repeated(user, key):
            raise


Services = Annotated[Container, Depends(container_of)]
User = Annotated[Principal, Depends(authenticated)]


def check_id(value: str, otherwise: type[NotFound]) -> str:
    """The id itself. Raises what an unknown one raises where it has not the form of an id."""
    if not is_id(value):
        raise otherwise
    return value


@dataclass(frozen=True, slots=True)
class Reading:
    """Somebody who may read a thread's streams."""

    user: Principal
    thread: ThreadAccess
    by_ticket: bool


@dataclass(frozen=True, slots=True)
class VisibleAgent:
    """An agent that the user may see, and what he is on it (None for an admin without a role)."""

    id: str
    role: Literal["owner", "editor", "viewer"] | None


async def reading(
    request: Request,
    thread_id: str,
    ticket: Annotated[
        str | None, Query(description="In place of a key, for a browser's EventSource: see `POST /tickets`.")
    ] = None,
) -> Reading:
    """Who reads a thread's stream, and the thread: by key, or by a ticket for it.

    Raises `Unauthorized`, `ThreadNotFound`. A ticket's user is looked at anew each time, as a key's is.
    """
    container: Container = request.app.state.container
    if ticket is None or "authorization" in request.headers:
        user = await authenticated(request)
    else:
        found = await container.admit_by_ticket(ticket, thread_id)
        if found is None:
            raise Unauthorized("This ticket does not hold, or not for this thread.")
        await _count(request, found)
        user = found
    return Reading(user, await visible_thread(thread_id, user, container), by_ticket=user.token == ticket)


async def visible_agent(agent_id: str, user: User, services: Services) -> VisibleAgent:
    """Raises `AgentNotFound`."""
    check_id(agent_id, AgentNotFound)
    role = await services.auth.agent_access(user.user_id, agent_id, is_admin=user.is_admin)
    return VisibleAgent(agent_id, role)


async def visible_thread(thread_id: str, user: User, services: Services) -> ThreadAccess:
    """Raises `ThreadNotFound`."""
    check_id(thread_id, ThreadNotFound)
    return await services.auth.thread_access(user.user_id, thread_id, is_admin=user.is_admin)


OnAgent = Annotated[VisibleAgent, Depends(visible_agent)]
OnThread = Annotated[ThreadAccess, Depends(visible_thread)]
ReadsStream = Annotated[Reading, Depends(reading)]


@dataclass(frozen=True, slots=True)
class PageOf:
    """Which part of a list is asked for."""

    limit: int
    after: str | None

    def arguments(self) -> dict[str, Any]:
        """As the stores take them."""
        return {"limit": self.limit, "after": self.after}


async def page_of(
    limit: Annotated[int, Query(ge=1, le=100, description="How many at most.")] = 20,
    after: Annotated[str | None, Query(description="The `next` of the page before.")] = None,
) -> PageOf:
    """The page that the query asks for."""
    return PageOf(limit, after)


Paging = Annotated[PageOf, Depends(page_of)]


async def idempotency_key(
    key: Annotated[
        str | None, Header(alias="Idempotency-Key", description="Makes a repeated request answer as the first one did.")
    ] = None,
) -> str | None:
    """The request's key. Raises `InvalidIdempotencyKey`."""
    return None if key is None else checked_key(key)


async def if_match(
    tags: Annotated[str | None, Header(alias="If-Match", description="Refuse (412) unless this is the ETag.")] = None,
) -> frozenset[int] | None:
    """The versions that the change is meant for; None for any. What is no tag of ours is no version."""
    if tags is None or tags.strip() == "*":
        return None
    named = (tag.strip() for tag in tags.split(","))
    numbers = (tag[1:-1] for tag in named if len(tag) > 2 and tag[0] == tag[-1] == '"')
    return frozenset(int(number) for number in numbers if number.isascii() and number.isdigit() and len(number) < 16)


async def last_event_id(
    header: Annotated[str | None, Header(alias="Last-Event-ID", description="Resume after this event.")] = None,
    query: Annotated[
        str | None, Query(alias="last_event_id", description="The same, for those who cannot set headers.")
    ] = None,
) -> str | None:
    """The id of the last event that the client has. Raises `InvalidEventId` for one that no log can have."""
    event_id = header or query
    if event_id and parse_event_id(event_id)[0] > MAX_SEQ:
        raise InvalidEventId
    return event_id or None


IdempotencyKey = Annotated[str | None, Depends(idempotency_key)]
IfMatch = Annotated[frozenset[int] | None, Depends(if_match)]
LastEventId = Annotated[str | None, Depends(last_event_id)]
