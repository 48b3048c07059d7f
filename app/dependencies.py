"""What routes ask for before they do anything, in the contract's order: who the user is, what they see, what they sent.

FastAPI resolves dependencies in the order of a route's parameters, and checks query parameters after all of them. So
each route names first the user, then the thing (404 if the user does not see it), then the body.
"""

from typing import Annotated

from fastapi import Depends, Header, Query, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security import APIKeyQuery
from fastapi.security.base import SecurityBase

from ai_agents.core.exceptions import InvalidEventId
from ai_agents.store.idempotency import checked_key
from ai_agents.store.pages import MAX_SEQ
from ai_agents.store.roles import ThreadAccess
from ai_agents.streams.cursor import parse_event_id
from app.container import Container
from app.errors import RateLimited, Unauthorized
from app.middleware import USER_ID
from app.services.access import ThreadReader, VisibleAgent, see_agent, see_thread
from app.services.arguments import PageArguments
from app.services.identity import Principal, authenticate, authenticate_ticket
from app.services.repeats import is_repeated


async def container_of(request: Request) -> Container:
    """The container of the application."""
    container: Container = request.app.state.container
    return container


AppContainer = Annotated[Container, Depends(container_of)]


class ApiKey(SecurityBase):
    """The user whose API key the request carries. FastAPI documents it as a security scheme."""

    model = HTTPBearer(bearerFormat="API key")
    scheme_name = "bearer"

    async def __call__(self, request: Request) -> Principal:
        """Raises `Unauthorized`, `RateLimited`."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized
        found = await authenticate(request.app.state.container, token.strip())
        if found is None:
            raise Unauthorized("This API key is not known here, or has expired.")
        await _count_request(request, found)
        return found


async def _count_request(request: Request, user: Principal) -> None:
    """Name the user in the access log and count the request. Raises `RateLimited`, except for a repeated one."""
    request.scope[USER_ID] = user.user_id
    try:
        request.app.state.rates.check(user)
    except RateLimited:
        key = request.headers.get("idempotency-key")
        if key is None or not await is_repeated(request.app.state.container, user, key):
            raise


authenticated = ApiKey()


class OptionalApiKey(SecurityBase):
    """The same where a request may carry a ticket instead: None for a request without an API key."""

    model = ApiKey.model
    scheme_name = ApiKey.scheme_name

    async def __call__(self, request: Request) -> Principal | None:
        """Raises `Unauthorized`, `RateLimited`."""
        return await authenticated(request) if "authorization" in request.headers else None


User = Annotated[Principal, Depends(authenticated)]


async def visible_agent(agent_id: str, user: User, container: AppContainer) -> VisibleAgent:
    """The agent of the path. Raises `AgentNotFound`."""
    return await see_agent(container, user, agent_id)


async def visible_thread(thread_id: str, user: User, container: AppContainer) -> ThreadAccess:
    """The user's access to the thread of the path. Raises `ThreadNotFound`."""
    return await see_thread(container, user, thread_id)


_TICKET = APIKeyQuery(name="ticket", scheme_name="ticket", description="From `POST /tickets`.", auto_error=False)


async def thread_reader(
    request: Request,
    thread_id: str,
    container: AppContainer,
    user: Annotated[Principal | None, Depends(OptionalApiKey())],
    ticket: Annotated[str | None, Depends(_TICKET)],
) -> ThreadReader:
    """The user who reads the streams of the thread of the path: by API key, or by a ticket for the thread.

    Each use of a ticket checks its user again, as each use of a key does. Raises `Unauthorized`, `ThreadNotFound`.
    """
    by_ticket = user is None
    if user is None:
        if ticket is None:
            raise Unauthorized
        user = await authenticate_ticket(container, ticket, thread_id)
        if user is None:
            raise Unauthorized("This ticket has expired, or is for another thread.")
        await _count_request(request, user)
    return ThreadReader(user, await see_thread(container, user, thread_id), by_ticket=by_ticket)


OnAgent = Annotated[VisibleAgent, Depends(visible_agent)]
OnThread = Annotated[ThreadAccess, Depends(visible_thread)]
ReadsThread = Annotated[ThreadReader, Depends(thread_reader)]


async def page_arguments(
    limit: Annotated[int, Query(ge=1, le=100, description="How many at most.")] = 20,
    after: Annotated[str | None, Query(description="The `next` of the page before.")] = None,
) -> PageArguments:
    """The page that the query asks for."""
    return {"limit": limit, "after": after}


Paging = Annotated[PageArguments, Depends(page_arguments)]


async def idempotency_key(
    key: Annotated[
        str | None, Header(alias="Idempotency-Key", description="Makes a repeated request answer as the first one did.")
    ] = None,
) -> str | None:
    """The idempotency key of the request. Raises `InvalidIdempotencyKey`."""
    return None if key is None else checked_key(key)


async def if_match(
    tags: Annotated[str | None, Header(alias="If-Match", description="Refuse (412) unless this is the ETag.")] = None,
) -> frozenset[int] | None:
    """The versions that a change is meant for; None for any. Tags that this service does not make match no version."""
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
    """The id of the last event that the client has. Raises `InvalidEventId` for an id that no log can have."""
    event_id = header or query
    if event_id and parse_event_id(event_id)[0] > MAX_SEQ:
        raise InvalidEventId
    return event_id or None


IdempotencyKey = Annotated[str | None, Depends(idempotency_key)]
IfMatch = Annotated[frozenset[int] | None, Depends(if_match)]
LastEventId = Annotated[str | None, Depends(last_event_id)]
