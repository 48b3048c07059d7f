"""What routes ask for before they do anything, in the contract's order: what the user sees, what they sent.

FastAPI resolves dependencies in the order of a route's parameters, and checks query parameters after all of them. So
each route names first the user, then the thing (404 if the user does not see it), then the body. The body is read by
`Annotated[CreateThread, json_body(CreateThread)]`, because FastAPI reads a declared body before any dependency runs.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Header, Query, Request
from pydantic import BaseModel, ValidationError

from ai_agents.core.exceptions import InvalidEventId
from ai_agents.store import idempotency
from ai_agents.store.pages import MAX_CURSOR, MAX_SEQ
from ai_agents.store.thread_access import ThreadAccess
from ai_agents.streams.cursor import MAX_EVENT_ID, parse_event_id
from app.authentication import AppContainer, ScopedUser
from app.container import Container
from app.errors import InvalidFields, PayloadTooLarge, UnsupportedMediaType, invalid_query
from app.problems import body_errors
from app.replays import IdempotencyKey, sent_key
from app.responses import JSON
from app.services.identity import PageArguments, Principal, VisibleAgent, see_agent, see_thread
from app.services.repeats import AnswerT, MaySee, SentKey, create_once, find_first
from app.settings import Settings
from app.strict_json import parse_json
from app.strict_routes import METADATA

Model = TypeVar("Model", bound=BaseModel)
_PARSED = "parsed_body"
# How much of an `If-Match` is read. A tag of this service has less than twenty characters.
_MAX_TAGS = 1000
_MAX_METADATA_FILTERS = 3
_MAX_METADATA_VALUE = 16 * 1024


async def visible_agent(agent_id: str, user: ScopedUser, container: AppContainer) -> VisibleAgent:
    """The agent of the path. Raises `AgentNotFound`."""
    return await see_agent(container, user, agent_id)


async def visible_thread(thread_id: str, user: ScopedUser, container: AppContainer) -> ThreadAccess:
    """The user's access to the thread of the path. Raises `ThreadNotFound`."""
    return await see_thread(container, user, thread_id)


OnAgent = Annotated[VisibleAgent, Depends(visible_agent)]
OnThread = Annotated[ThreadAccess, Depends(visible_thread)]


async def page_arguments(
    limit: Annotated[int, Query(ge=1, le=100, description="How many at most.")] = 20,
    after: Annotated[
        str | None, Query(json_schema_extra={"maxLength": MAX_CURSOR}, description="The `next` of the page before.")
    ] = None,
) -> PageArguments:
    """The page that the query asks for."""
    return {"limit": limit, "after": after}


Paging = Annotated[PageArguments, Depends(page_arguments)]


Shared = Annotated[bool, Query(description="Also what every user may see because another user has shared it so.")]


async def metadata_is(
    request: Request,
    _named: Annotated[
        str | None,
        Query(
            alias=f"{METADATA}KEY",
            json_schema_extra={"maxLength": _MAX_METADATA_VALUE},
            description="Only those whose metadata has exactly this value under this key; up to three such parameters.",
        ),
    ] = None,
) -> list[tuple[str, str]]:
    """The keys of metadata that the query names, each with its value. Raises `InvalidFields`."""
    named = [(name, value) for name, value in request.query_params.multi_items() if name.startswith(METADATA)]
    if len(named) > _MAX_METADATA_FILTERS:
        raise invalid_query(named[-1][0], f"should be one of {_MAX_METADATA_FILTERS} at most.")
    for name, value in named:
        if name == METADATA or "\0" in name + value:
            raise invalid_query(name, "should name a key and its value.")
    return [(name.removeprefix(METADATA), value) for name, value in named]


MetadataIs = Annotated[list[tuple[str, str]], Depends(metadata_is)]


def header_of(name: str, most: int, description: str) -> Any:
    """A header of a route, declared with so many characters at most; what reads it cuts or refuses longer ones."""
    return Header(alias=name, json_schema_extra={"maxLength": most}, description=description)


async def if_match(
    tags: Annotated[
        str | None,
        header_of("If-Match", _MAX_TAGS, "Refuse (412) unless this is the ETag."),
    ] = None,
) -> frozenset[int] | None:
    """The versions that a change is meant for; None for any. Tags that this service does not make match no version."""
    if tags is None or tags.strip() == "*":
        return None
    named = (tag.strip() for tag in tags[:_MAX_TAGS].split(","))
    numbers = (tag[1:-1] for tag in named if len(tag) > 2 and tag[0] == tag[-1] == '"')
    return frozenset(int(number) for number in numbers if number.isascii() and number.isdigit() and len(number) < 16)


async def last_event_id(
    header: Annotated[
        str | None,
        header_of("Last-Event-ID", MAX_EVENT_ID, "Resume after this event."),
    ] = None,
    query: Annotated[
        str | None,
        Query(
            alias="last_event_id",
            json_schema_extra={"maxLength": MAX_EVENT_ID},
            description="The same, for those who cannot set headers.",
        ),
    ] = None,
) -> str | None:
    """The id of the last event that the client has. Raises `InvalidEventId` for an id that no log can have."""
    event_id = header or query
    if event_id and parse_event_id(event_id)[0] > MAX_SEQ:
        raise InvalidEventId
    return event_id or None


@dataclass(frozen=True, slots=True)
class OnceOnly:
    """Creates what a request asks for; with an idempotency key, a request that is repeated creates nothing new."""

    request: Request
    user: Principal
    container: Container
    key: str | None

    @property
    def sent(self) -> SentKey | None:
        """The key, with the fingerprint of the body, which must have been read."""
        return sent_key(self.request, self.key, fingerprint(self.request) if self.key else "")

    async def find_first(self, may_see: MaySee[AnswerT]) -> AnswerT | None:
        """What this very request was answered first, if it is a repeated one: see `repeats.find_first`."""
        return await find_first(self.container, self.user, sent=self.sent, may_see=may_see)

    async def create(self, create: Callable[[], Awaitable[AnswerT]], *, may_see: MaySee[AnswerT]) -> AnswerT:
        """The result of `create`, or its first result, see `repeats.create_once`."""
        return await create_once(self.container, self.user, create, sent=self.sent, may_see=may_see)


async def once_only(request: Request, user: ScopedUser, container: AppContainer, key: IdempotencyKey) -> OnceOnly:
    """What creates things once per idempotency key."""
    return OnceOnly(request, user, container, key)


Once = Annotated[OnceOnly, Depends(once_only)]
IfMatch = Annotated[frozenset[int] | None, Depends(if_match)]
LastEventId = Annotated[str | None, Depends(last_event_id)]


class JsonBody:
    """A dependency that gives the request's body as this model."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model

    async def __call__(self, request: Request) -> BaseModel:
        return await read_model(request, self.model)


def json_body(model: type[BaseModel]) -> Any:
    """The body as this model: `Annotated[CreateThread, json_body(CreateThread)]`."""
    return Depends(JsonBody(model))


def fingerprint(request: Request, *, without: str | None = None) -> str:
    """A hash of method, path and body for idempotency keys. The order of the body's fields does not matter.

    The body must have been read as a model before. `without` names a field that does not count.
    """
    sent = {name: value for name, value in request.scope[_PARSED].items() if name != without}
    return idempotency.fingerprint(
        request.method, request.scope["path"], orjson.dumps(sent, option=orjson.OPT_SORT_KEYS)
    )


async def read_model(request: Request, model: type[Model]) -> Model:
    """The body as this model.

    Raises `UnsupportedMediaType`, `PayloadTooLarge`, and `InvalidFields` for any other mistake in it.
    """
    settings: Settings = request.app.state.settings
    check_media_type(request)
    raw = await read_bytes(request, limit=settings.max_body_bytes)
    value = parse_json(raw, max_depth=settings.max_json_depth)
    try:
        found = model.model_validate(value, context=settings)
        request.scope[_PARSED] = value
        return found
    except ValidationError as error:
        raise InvalidFields(body_errors(error, value)) from None


async def read_model_or_nothing(request: Request, model: type[Model]) -> Model:
    """The body as this model, or without a body the model's defaults. Raises what `read_model` raises."""
    if "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0":
        return await read_model(request, model)
    request.scope[_PARSED] = {}
    return model()


def check_media_type(request: Request) -> None:
    """Raises `UnsupportedMediaType` for a body that does not say that it is JSON."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise UnsupportedMediaType
    refuse_compressed(request)


def refuse_compressed(request: Request) -> None:
    """Raises `UnsupportedMediaType` for a body that is compressed, whose size nothing here would bound."""
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"identity", ""}:
        raise UnsupportedMediaType("A body that is compressed (`Content-Encoding`) is not read here.")


async def read_bytes(request: Request, *, limit: int) -> bytes:
    """The body as it was sent. Raises `PayloadTooLarge`."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise PayloadTooLarge(f"The body is larger than {limit} bytes.")
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > limit:
            raise PayloadTooLarge(f"The body is larger than {limit} bytes.")
    return bytes(raw)
