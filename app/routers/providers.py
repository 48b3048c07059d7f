"""Providers."""

from fastapi import APIRouter, Depends
from starlette.responses import Response

from app.dependencies import Services, authenticated
from app.responses import JsonResponse
from app.routers.documented import answer
from app.schemas.catalogue import ProviderPage

router = APIRouter(tags=["catalogue"])


@router.get("/providers", dependencies=[Depends(authenticated)], responses=answer(200, ProviderPage, "Providers."))
async def list_providers(services: Services) -> Response:
    """The providers that agents may name, and whether they can be used here."""
    default, _ = services.providers.default
    data = [
        {
            "name": status.name,
            "configured": status.configured,
            "default_model": status.default_model,
            "default": status.name == default,
        }
        for status in services.providers.configured()
    ]
    return JsonResponse({"data": data, "next": None})
