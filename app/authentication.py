"""Who sends a request, by API key, token, JWT or ticket, and how many requests they may send."""

import hmac
import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.routing import APIRoute
from fastapi.security import APIKeyQuery
from fastapi.security.base import SecurityBase

from ai_agents.core.exceptions import PermissionDenied
from ai_agents.core.key_rows import KeyHolder, TicketHolder
from ai_agents.core.scopes import AgentScope
from ai_agents.store.keys import ADMIN_ID
from ai_agents.store.revocations import key_subject, made_subject, role_subject
from ai_agents.store.thread_access import ThreadAccess
from app.container import Container
from app.errors import RateLimited, Unauthorized
from app.event_streams import MEDIA_TYPE
from app.middleware import REQUEST_ID, USER_ID
from app.replays import REFUSAL, may_be_repeated
from app.responses import JSON
from app.services.identity import Principal, RequestFacts, see_thread

# Where the request's scope has its `Principal`.
PRINCIPAL = "principal"
_TICKET_HELP = "From `POST /tickets`, for an EventSource, which sends no headers. It opens streams alone."
_TICKET = APIKeyQuery(name="ticket", scheme_name="ticket", description=_TICKET_HELP, auto_error=False)


async def container_of(request: Request) -> Container:
    """The container of the application."""
    container: Container = request.app.state.container
    return container


AppContainer = Annotated[Container, Depends(container_of)]


def _is_admin_key(container: Container, token: str) -> bool:
    """Whether this is the admin key of the environment."""
    return hmac.compare_digest(token.encode(), container.admin_key)


async def authenticate(container: Container, token: str) -> Principal | None:
    """The user whose API key, token or JWT this is; None for a key or token that is unknown or has expired.

    Raises `Unauthorized` with what is wrong with a JWT, and `IssuerUnavailable`.
    """
    if _is_admin_key(container, token):
        key_id = container.admin_key_id
        hangs_on = frozenset({key_subject(key_id)})
        return Principal(ADMIN_ID, is_admin=True, token=token, key_id=key_id, hangs_on=hangs_on)
    if container.jwts is not None and token.count(".") == 2:
        holder = await container.jwts.verify(token)
        return Principal(holder.user_id, is_admin=holder.is_admin, token=token, sent="jwt", ask_at=holder.expires_at)
    found = await container.keys.authenticate(token)
    if found is None:
        return None
    ends = found["valid_until"]
    return Principal(
        found["user_id"],
        is_admin=found["admin"],
        token=token,
        sent="token" if found["is_token"] else "key",
        key_id=found["key_id"],
        is_former=found["is_former"],
        ask_at=None if ends is None else _seconds(ends),
        within=_scope(found),
        hangs_on=_subjects(found),
    )


def _scope(found: KeyHolder | TicketHolder) -> AgentScope | None:
    """What a token that names agents is for, and a ticket that it made."""
    agents, key_id = found["agents"], found["key_id"]
    return None if agents is None or key_id is None else AgentScope(key_id, frozenset(agents))


def _subjects(found: KeyHolder | TicketHolder) -> frozenset[str]:
    """What a key, a token or a ticket is lost with."""
    key_id, parent_id = found["key_id"], found["parent_id"]
    of_key = set() if key_id is None else {key_subject(key_id)}
    of_token = set() if parent_id is None else {made_subject(parent_id)}
    return frozenset(of_key | of_token)


async def authenticate_ticket(container: Container, ticket: str, thread_id: str | None) -> Principal | None:
    """The user who got this ticket; None for a ticket that is unknown, has expired, or is for another thread.

    Without a thread: for a ticket that is for one.
    """
    return _holder_of(ticket, await container.tickets.find(ticket), thread_id)


async def use_ticket(container: Container, ticket: str, thread_id: str | None) -> Principal | None:
    """As `authenticate_ticket`; the use extends the ticket."""
    return _holder_of(ticket, await container.tickets.use(ticket), thread_id)


def _holder_of(ticket: str, found: TicketHolder | None, thread_id: str | None) -> Principal | None:
    if found is None or found["thread_id"] != thread_id:
        return None
    return Principal(
        found["user_id"],
        is_admin=found["admin"],
        token=ticket,
        sent="ticket",
        key_id=found["key_id"],
        ask_at=_seconds(found["use_by"]),
        within=_scope(found),
        hangs_on=_subjects(found),
    )


def _seconds(time: str) -> float:
    """Seconds since 1970 of a time of ours."""
    return datetime.fromisoformat(time).timestamp()


class ApiKey(SecurityBase):
    """The user whose API key the request carries. FastAPI documents it as a security scheme."""

    model = HTTPBearer(
        bearerFormat="API key, token or JWT",
        description="An API key (the admin key, or of `POST /keys`), a token (`POST /tokens`) or a JWT of the issuer.",
    )
    scheme_name = "bearer"

    async def __call__(self, request: Request) -> Principal:
        """Raises `Unauthorized`, `Overloaded`, `RateLimited`."""
        given = request.headers.getlist("authorization")
        if len(given) > 1:
            # A proxy that looks at the other one would let pass what is not its user's.
            raise Unauthorized("The request has more than one header `Authorization`.")
        scheme, _, token = "".join(given).partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized
        container: Container = request.app.state.container
        if not _is_admin_key(container, token.strip()):
            # Before anything is asked of the database. The operator's own key works when the service is busiest.
            request.app.state.overload.check()
        found = await authenticate(container, token.strip())
        if found is None:
            raise Unauthorized("This API key or token is not known here, or has expired.")
        _count_request(request, found)
        return _as_sender(request, found)


def _as_sender(request: Request, user: Principal) -> Principal:
    """The user with what the audit log tells of the request, which is kept for refusals, too."""
    facts = RequestFacts(request.scope[REQUEST_ID], request.method, request.scope["route"].name)
    found: Principal = replace(user, request=facts)
    request.scope[PRINCIPAL] = found
    return found


def _count_request(request: Request, user: Principal) -> None:
    """Name the user in the access log and count the request.

    Raises `RateLimited`, except for a request that may be a repeated one. That is found out with its body; until then
    it counts as a repetition, of which there are as many in a minute.
    """
    request.scope[USER_ID] = user.user_id
    try:
        request.app.state.rates.check(user)
    except RateLimited as refusal:
        if not may_be_repeated(request):
            raise
        request.app.state.repeat_rates.check(user)
        request.scope[REFUSAL] = refusal


authenticated = ApiKey()


class OptionalApiKey(SecurityBase):
    """The same where a request may carry a ticket instead: None for a request without an API key."""

    model = ApiKey.model
    scheme_name = ApiKey.scheme_name

    async def __call__(self, request: Request) -> Principal | None:
        """Raises `Unauthorized`, `RateLimited`."""
        return await authenticated(request) if "authorization" in request.headers else None


# The user of a request to a route that keeps within the agents of a token: its service passes `user.reach` wherever it
# asks for a right or lists something.
ScopedUser = Annotated[Principal, Depends(authenticated)]


async def whole_user(user: ScopedUser) -> Principal:
    """The user of any other route. Raises `PermissionDenied` for a token that names agents: what is new is closed."""
    if user.within is not None:
        raise PermissionDenied("This token is for some agents, their threads and the files of those alone.")
    return user


User = Annotated[Principal, Depends(whole_user)]


class StreamRight:
    """The right to an open stream, as the secret of the request gives it: a `ReadRight`.

    Of a thread, it is also the user's right to read that; without one, each hint is checked by itself.
    """

    def __init__(self, container: Container, user: Principal, thread_id: str | None) -> None:
        self.ask_at = user.ask_at
        self.subjects = user.hangs_on | (set() if thread_id is None else {role_subject("thread", thread_id)})
        self._container = container
        self._user = user
        self._thread_id = thread_id

    async def stands(self) -> bool:
        """Whether key, token or ticket is valid, and the user may see the thread. An open stream extends its ticket."""
        user, thread_id = self._user, self._thread_id
        found: Principal | None
        if user.sent == "jwt":
            # It was checked when the stream was opened, and nothing but its end takes it back.
            found = user if user.ask_at is None or user.ask_at > time.time() else None
        elif user.sent == "ticket":
            found = await use_ticket(self._container, user.token, thread_id)
        else:
            found = await authenticate(self._container, user.token)
        if found is None:
            return False
        self.ask_at = found.ask_at
        if thread_id is None:
            return True
        return await self._container.auth.may_see(user.user_id, "thread", thread_id, **found.reach)


@dataclass(frozen=True, slots=True)
class ThreadReader:
    """A user who may read the streams of a thread, and the right to do so."""

    user: Principal
    thread: ThreadAccess
    right: StreamRight


_Keyed = Annotated[Principal | None, Depends(OptionalApiKey())]
_Ticket = Annotated[str | None, Depends(_TICKET)]


async def thread_reader(
    request: Request, thread_id: str, container: AppContainer, user: _Keyed, ticket: _Ticket
) -> ThreadReader:
    """The user who reads the streams of the thread of the path: by API key, or by a ticket for the thread.

    Raises `Unauthorized`, `Overloaded`, `ThreadNotFound`.
    """
    user = user or await _ticket_user(request, container, ticket, thread_id)
    thread = await see_thread(container, user, thread_id)
    return ThreadReader(user, thread, StreamRight(container, user, thread_id))


@dataclass(frozen=True, slots=True)
class FeedFollower:
    """A user who follows all their threads, and the right to do so."""

    user: Principal
    right: StreamRight


async def feed_reader(request: Request, container: AppContainer, user: _Keyed, ticket: _Ticket) -> FeedFollower:
    """The user who follows all their threads: by API key, or by a ticket for that.

    Raises `Unauthorized`, `Overloaded`.
    """
    user = user or await _ticket_user(request, container, ticket, None)
    return FeedFollower(user, StreamRight(container, user, None))


async def _ticket_user(request: Request, container: Container, ticket: str | None, thread_id: str | None) -> Principal:
    """The user of a ticket, who is checked at each use of it as that of a key is."""
    if ticket is None:
        raise Unauthorized
    request.app.state.overload.check()
    user = await authenticate_ticket(container, ticket, thread_id)
    if user is None:
        raise Unauthorized("This ticket has expired, or is for something else.")
    _count_request(request, user)
    if user.ask_at is not None and user.ask_at <= time.time():
        # Extended only now: a request over the limit writes nothing.
        user = await use_ticket(container, ticket, thread_id) or user
    return _as_sender(request, user)


def opens_stream_by_ticket(request: Request) -> bool:
    """Whether this request would open a stream by a ticket, as an EventSource does."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or "ticket" not in request.query_params or "authorization" in request.headers:
        return False
    accept = request.headers.get("accept", "").lower()
    takes_tickets = any(each.call in (thread_reader, feed_reader) for each in route.dependant.dependencies)
    return takes_tickets and (MEDIA_TYPE in accept or JSON not in accept)


ReadsThread = Annotated[ThreadReader, Depends(thread_reader)]
FollowsThreads = Annotated[FeedFollower, Depends(feed_reader)]
