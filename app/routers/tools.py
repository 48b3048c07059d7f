"""Tools."""

from fastapi import APIRouter, Depends
from starlette.responses import Response

from app.dependencies import Services, authenticated
from app.responses import JsonResponse
from app.routers.documented import answer
from app.schemas.catalogue import ToolPage

router = APIRouter(tags=["catalogue"])


@router.get("/tools", dependencies=[Depends(authenticated)], responses=answer(200, ToolPage, "Tools."))
async def list_tools(services: Services) -> Response:
    """The tools that agents may name."""
    definitions = [tool.get_definition() for tool in services.tools.list_tools()]
    data = [{"name": each.name, "description": each.description, "parameters": each.parameters} for each in definitions]
    return JsonResponse({"data": data, "next": None})
