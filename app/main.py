"""The application: its routers, error handlers, and the resources that are open as long as it runs."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import Context
from functools import partial
from importlib.metadata import version

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from ai_agents.bus.base import Bus
from ai_agents.core.exceptions import AIAgentsError
from ai_agents.core.observing import observe_with
from ai_agents.store.keys import keep_environment_key
from app import console, openapi
from app.authentication import opens_stream_by_ticket
from app.container import Container, open_container
from app.document import serve_document
from app.doors.listed import DOORS, door_at
from app.errors import InvalidFields
from app.event_streams import OpenStreams, come_back_later
from app.hosts import TrustedProxies
from app.metrics import OBSERVER
from app.middleware import REQUEST_ID, RequestContext, allow_origins
from app.overload import Overload
from app.patience import Patience
from app.problems import problem_of, problem_of_status, validation_errors
from app.rates import RequestRates
from app.refusals import note_refusal
from app.routers import (
    access,
    agents,
    audit,
    catalogue,
    credentials,
    feed,
    feedback,
    files,
    messages,
    operations,
    providers,
    retries,
    runs,
    search,
    threads,
    users,
    webhooks,
)
from app.services.operations import ProcessLoad
from app.settings import Settings
from app.shared_usage import SharedRates, SharedUsage
from app.tracing import SERVICE, TracedRequests, start_tracing
from app.turns import Turns

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")
ROUTERS = (
    agents,
    threads,
    messages,
    feed,
    feedback,
    search,
    files,
    retries,
    runs,
    access,
    providers,
    catalogue,
    credentials,
    users,
    webhooks,
    operations,
    audit,
    *(module for door in DOORS for module in door.routers),
)
_ROUTES = [route for module in (*ROUTERS, console) for route in module.router.routes if isinstance(route, APIRoute)]
for _route in _ROUTES:
    _route.operation_id = _route.name


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service, ready for a server. Its database and connections are opened when the server starts it."""
    settings = settings or Settings()
    app = FastAPI(
        title="AI Agents",
        version=version("ai-agents"),
        summary="Agents that answer, remember and use tools, on any provider.",
        description=openapi.DESCRIPTION,
        license_info={"name": "MIT", "identifier": "MIT"},
        openapi_tags=[{"name": name, "description": text} for name, text in openapi.TAGS.items()],
        servers=[{"url": "/", "description": "This service"}],
        separate_input_output_schemas=False,
        lifespan=_lifespan,
        openapi_url=None,  # `serve_document` answers
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # The service exports none of these, and they cost each request more than its routing.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.settings = settings
    app.state.turns = Turns()
    app.state.overload = Overload()
    app.state.draining = None
    app.state.refusal = None
    # Set in one of several processes on a port.
    app.state.siblings = None
    app.state.begin_drain = lambda: _begin_drain(app)
    app.state.hurry = lambda: _hurry(app)
    app.add_middleware(
        RequestContext,
        max_header_bytes=settings.max_header_bytes,
        overload=app.state.overload,
        hosts=settings.answered_hosts,
        find_door=door_at,
    )
    if settings.traces_address is not None:
        app.add_middleware(TracedRequests)
    # What is added later is further out: pages can read problems of the other middleware, too.
    allow_origins(
        app,
        settings.allowed_origins,
        accepted={name for door in DOORS for name in door.accepted},
        exposed={name for door in DOORS for name in door.exposed},
    )
    if settings.trusted_proxies:
        app.add_middleware(TrustedProxies, proxies=settings.trusted_proxies)
    app.add_exception_handler(AIAgentsError, _on_framework_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameter)
    app.add_exception_handler(HTTPException, _on_http_error)
    # Not `include_router`, which makes each route anew for every application, and looks for it twice in every request.
    app.router.routes.extend(_ROUTES)
    openapi.describe(app, _ROUTES)
    serve_document(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    async with AsyncExitStack() as opened:
        patience = Patience(app.state.settings.database)
        try:
            if (sending := start_tracing(app.state.settings, service=SERVICE)) is not None:
                opened.push_async_callback(asyncio.to_thread, sending.close)
            container = await opened.enter_async_context(open_container(app.state.settings, patience=patience))
            await container.runner.open()
            await container.conn.database.write(lambda c: keep_environment_key(c, container.admin_key_id), long=True)
        except AIAgentsError as error:
            # The server only reports that the start failed; the command line prints why.
            app.state.refusal = str(error)
            raise
        app.state.container = container
        app.state.streams = OpenStreams(container.limits)
        app.state.rates, app.state.repeat_rates = RequestRates(container.limits), RequestRates(container.limits)
        kinds = {"requests": app.state.rates, "repeats": app.state.repeat_rates}
        usage = share_usage(container.conn.bus, app.state.streams, kinds)
        container.audit.start()
        app.state.load = lambda: ProcessLoad(
            len(app.state.streams), app.state.overload.in_hand, app.state.overload.share
        )
        app.state.overload.open(app.state.streams.__len__)
        observe_with(OBSERVER)
        loading = asyncio.create_task(_prepare(container), name="prepare")
        try:
            yield
        finally:
            app.state.overload.close()
            await _begin_drain(app)
            await usage.close()
            loading.cancel()
            await asyncio.wait({loading})


def share_usage(bus: Bus, streams: OpenStreams, kinds: Mapping[str, RequestRates]) -> SharedUsage:
    """Count streams and each kind of requests together with the other processes. To be closed at the end."""
    rates = {kind: SharedRates(each.take, each.left) for kind, each in kinds.items()}
    usage = SharedUsage(bus, rates, streams.elsewhere, lambda: streams.by_user)
    for kind, each in kinds.items():
        each.on_spent = partial(usage.note_spent, kind)
    streams.on_change = usage.note_streams
    usage.open()
    return usage


async def _prepare(container: Container) -> None:
    """Load the default provider's SDK and the prices now, so that the first message does not wait for them.

    A bucket that cannot be used is told in the log: it may come back, as a folder does not.
    """
    with suppress(AIAgentsError):  # a run that needs the provider reports the error
        await container.providers.prepare()
    await container.models.load()
    if (fault := await container.attachments.blobs.find_fault()) is not None:
        log.warning("files cannot be stored now", reason=fault)


def _begin_drain(app: FastAPI) -> asyncio.Task[None]:
    """Stop taking work, let runs end, then end the streams. Later calls return the same task."""
    if app.state.draining is None:
        # In a context of its own: a signal may come while a request is served, whose id is not that of the stop.
        app.state.draining = asyncio.create_task(_drain(app), name="drain", context=Context())
    task: asyncio.Task[None] = app.state.draining
    return task


def _hurry(app: FastAPI) -> None:
    """End the time that runs and jobs have while the process stops."""
    app.state.container.conn.executor.hurry()


async def _drain(app: FastAPI) -> None:
    executor, grace_s = app.state.container.conn.executor, app.state.settings.shutdown_grace_s
    log.info("stopping", runs=executor.running, grace_s=grace_s)
    try:
        await app.state.container.runner.drain(grace_s)
    finally:
        app.state.streams.close()
        log.info("stopped", handed_over=len(executor.handed_over), run_ids=executor.handed_over)


async def _on_framework_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AIAgentsError)  # noqa: S101  # registered for these
    note_refusal(request, error)
    response = problem_of(error, request_id=request.scope[REQUEST_ID])
    if response.status_code in (429, 503, 507) and opens_stream_by_ticket(request):
        # Any status but 200 ends an EventSource for ever, so it gets a stream that says when to retry.
        return come_back_later()
    return response


async def _on_invalid_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for these
    return problem_of(InvalidFields(validation_errors(error.errors())), request_id=request.scope[REQUEST_ID])


async def _on_http_error(request: Request, error: Exception) -> Response:
    """The answer to what the web framework refuses. `Allow` names the methods of all routes of the path."""
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for these
    headers = dict(error.headers or {})
    detail = str(error.detail)
    if error.status_code == 404:
        detail = "There is nothing at this path."
    elif error.status_code == 405:
        headers["allow"] = ", ".join(sorted(_methods_at(request)))
        detail = f"This path takes {headers['allow']}."
    return problem_of_status(error.status_code, detail, request_id=request.scope[REQUEST_ID], headers=headers)


def _methods_at(request: Request) -> set[str]:
    scope = {"type": "http", "path": request.scope["path"], "method": request.method, "root_path": ""}
    return {method for route in _ROUTES if route.matches(scope)[0] is not Match.NONE for method in route.methods or ()}
