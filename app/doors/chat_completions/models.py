"""The routes of models."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from app.authentication import AppContainer, ScopedUser
from app.doors import openai_models
from app.doors.base import DoorRoute
from app.doors.openai_errors import FORM
from app.openapi import USER, failures
from app.responses import JsonResponse
from app.turns import LargeTurn

router = APIRouter(route_class=DoorRoute, tags=["openai"])


class OpenAIModel(BaseModel):
    """An agent as a model. OpenAI has no `name` and `description`; user interfaces show them."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(description="The agent's id.")
    object: Literal["model"]
    created: int = Field(description="When the agent was made, in seconds since 1970.")
    owned_by: str
    name: str
    description: str | None


class OpenAIModels(BaseModel):
    """A whole list."""

    model_config = ConfigDict(extra="forbid")

    object: Literal["list"]
    data: list[OpenAIModel] = Field(max_length=openai_models.MAX_MODELS)


@router.get(
    "/v1/models",
    response_model=OpenAIModels,
    response_description="The agents.",
    responses=failures(*USER, form=FORM),
)
async def list_openai_models(user: ScopedUser, container: AppContainer, _turn: LargeTurn) -> Response:
    """The agents that the user may talk to, newest first, as models; a thousand at most."""
    return JsonResponse(await openai_models.list_models(container, user))


@router.get(
    "/v1/models/{model:path}",
    response_model=OpenAIModel,
    response_description="The agent.",
    responses=failures(*USER, "model_not_found", form=FORM),
)
async def get_openai_model(user: ScopedUser, model: str, container: AppContainer) -> Response:
    """An agent as a model, by id, or by name where it is the only one."""
    return JsonResponse(await openai_models.get_model(container, user, model))
