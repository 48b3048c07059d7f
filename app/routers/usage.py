"""Usage and costs of model calls."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.dependencies import AppContainer, Paging, User
from app.described import PAGE, USER, failures
from app.responses import JsonResponse
from app.schemas.answers import UsagePage
from app.services import usage

router = APIRouter(tags=["usage"])


@router.get("/usage", response_model=UsagePage, response_description="Sums.", responses=failures(*USER, *PAGE))
async def get_usage(
    user: User,
    container: AppContainer,
    page: Paging,
    since: Annotated[
        str | None,
        Query(alias="from", max_length=40, description="A day, or a time with its zone. Default: 30 days before `to`."),
    ] = None,
    until: Annotated[
        str | None,
        Query(alias="to", max_length=40, description="Not included; at most 366 days after `from`. Default: now."),
    ] = None,
    group_by: Annotated[
        str | None,
        Query(
            max_length=40,
            pattern=r"^(agent|model|user|day)(,(agent|model|user|day))*$",
            description="How the calls are grouped: some of `agent`, `model`, `user`, `day`, separated by commas.",
        ),
    ] = None,
) -> Response:
    """Usage and costs of the user's runs; for admins, of all runs.

    Every model call counts at the time when it was made, also if it failed. Deleting a thread changes nothing.
    """
    found = await usage.sum_usage(container, user, since=since, until=until, group_by=group_by, **page)
    return JsonResponse(found)
