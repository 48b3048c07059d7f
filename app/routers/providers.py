"""Providers."""

from fastapi import APIRouter, Depends
from starlette.responses import Response

from app.dependencies import AppContainer, authenticated
from app.described import USER, failures
from app.responses import JsonResponse
from app.schemas.answers import ProviderPage
from app.services import providers

router = APIRouter(tags=["catalogue"])


@router.get(
    "/providers",
    dependencies=[Depends(authenticated)],
    response_model=ProviderPage,
    response_description="Providers.",
    responses=failures(*USER),
)
async def list_providers(container: AppContainer) -> Response:
    """The providers that agents may name, and whether they can be used here."""
    return JsonResponse(providers.list_providers(container))
