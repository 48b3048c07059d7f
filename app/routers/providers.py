"""Providers: what users may name in agents, and what admins make."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from ai_agents.providers.registry import ProviderStatus
from ai_agents.providers.specs import MAX_MODEL
from app.authentication import AppContainer, User
from app.dependencies import IfMatch, Once, json_body
from app.openapi import BODY, ONCE, USER, failures, headers
from app.responses import JsonResponse, created, etag, no_content, versioned
from app.schemas.providers import (
    CreateProvider,
    ModelPage,
    ProviderCheck,
    ProviderPage,
    ProviderRead,
    UpdateProvider,
)
from app.services import providers
from app.strict_routes import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["providers"])
# What a server's failure can be.
_SERVER = (
    "provider_not_configured",
    "provider_rejected",
    "provider_error",
    "provider_truncated",
    "provider_rate_limited",
    "provider_timeout",
)


async def visible_provider(name: str, user: User, container: AppContainer) -> ProviderStatus:
    """The provider of the path. Raises `ProviderNotFound`."""
    return await providers.see_provider(container, user, name)


OnProvider = Annotated[ProviderStatus, Depends(visible_provider)]


@router.get("/providers", response_model=ProviderPage, response_description="Providers.", responses=failures(*USER))
async def list_providers(user: User, container: AppContainer) -> Response:
    """The providers that you may name in agents, and whether they can be used here. An admin sees more of each."""
    return JsonResponse(await providers.list_providers(container, user))


@router.post(
    "/providers",
    status_code=201,
    response_model=ProviderRead,
    response_description="The provider, without its secrets.",
    responses={201: headers("Location", "ETag"), **failures(*USER, *BODY, *ONCE, "forbidden", "conflict")},
)
async def create_provider(
    user: User,
    container: AppContainer,
    once: Once,
    body: Annotated[CreateProvider, json_body(CreateProvider)],
) -> Response:
    """Make a provider: a server by a name of your own. Every user may use it until you remove that role. For admins."""
    made = await providers.create_provider(container, user, body, sent=once.sent)
    return created(made, f"/providers/{body.name}", etag(made["version"]))


@router.get(
    "/providers/{name}",
    response_model=ProviderRead,
    response_description="The provider.",
    responses={200: headers("ETag"), **failures(*USER, "not_found", "forbidden")},
)
async def get_provider(user: User, container: AppContainer, provider: OnProvider) -> Response:
    """A provider with its address and its quirks, without its secrets. For admins."""
    found = await providers.get_provider(container, user, provider)
    return versioned(found, found["version"]) if "version" in found else JsonResponse(found)


@router.patch(
    "/providers/{name}",
    response_model=ProviderRead,
    response_description="The provider.",
    responses={
        200: headers("ETag"),
        **failures(*USER, *BODY, "not_found", "forbidden", "conflict", "precondition_failed"),
    },
)
async def update_provider(
    user: User,
    container: AppContainer,
    provider: OnProvider,
    versions: IfMatch,
    body: Annotated[UpdateProvider, json_body(UpdateProvider)],
) -> Response:
    """Change a provider. Runs under way end their model call as they began it. For admins."""
    changed = await providers.update_provider(container, user, provider, body, versions=versions)
    return versioned(changed, changed["version"])


@router.delete(
    "/providers/{name}",
    status_code=204,
    response_description="The provider is deleted.",
    responses=failures(*USER, "not_found", "forbidden", "conflict", "precondition_failed"),
)
async def delete_provider(user: User, container: AppContainer, provider: OnProvider, versions: IfMatch) -> Response:
    """Delete a provider with the roles on it. Agents that name it cannot answer any more. For admins."""
    await providers.delete_provider(container, user, provider, versions=versions)
    return no_content()


@router.post(
    "/providers/{name}/check",
    response_model=ProviderCheck,
    response_description="What the request led to.",
    responses=failures(*USER, "not_found", "forbidden", "invalid_request"),
)
async def check_provider(
    user: User,
    container: AppContainer,
    provider: OnProvider,
    model: Annotated[
        str | None,
        Query(min_length=1, max_length=MAX_MODEL, description="Default: the default model, else the first one listed."),
    ] = None,
) -> Response:
    """Send one smallest request, and say what the server answered. For admins."""
    return JsonResponse(await providers.check_provider(container, user, provider, model))


@router.get(
    "/providers/{name}/models",
    response_model=ModelPage,
    response_description="Models.",
    responses=failures(*USER, "not_found", *_SERVER),
)
async def list_models(container: AppContainer, provider: OnProvider) -> Response:
    """The models that the server lists. The list is kept for ten minutes."""
    return JsonResponse(await providers.list_models(container, provider))
