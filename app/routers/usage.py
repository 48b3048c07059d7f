"""What models were used for, and what that cost."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.dependencies import AppContainer, Paging, User
from app.responses import JsonResponse
from app.routers.documented import answer, problems
from app.schemas.usage import UsagePage
from app.services import usage

router = APIRouter(tags=["usage"])


@router.get("/usage", responses={**answer(200, UsagePage, "Sums."), **problems("invalid_request", "invalid_cursor")})
async def get_usage(
    user: User,
    container: AppContainer,
    page: Paging,
    since: Annotated[
        str | None,
        Query(alias="from", max_length=40, description="A day, or a time with its zone. Else 30 days before `to`."),
    ] = None,
    until: Annotated[
        str | None, Query(alias="to", max_length=40, description="Not included; at most 366 days later. Else now.")
    ] = None,
    group_by: Annotated[
        str | None,
        Query(
            max_length=40,
            pattern=r"^(agent|model|user|day)(,(agent|model|user|day))*$",
            description="What the sums are parted by: some of `agent`, `model`, `user`, `day`, with commas between.",
        ),
    ] = None,
) -> Response:
    """What the models of one's runs were used for and what that cost; for admins, everybody's.

    Every call of a model counts when it was made, whatever became of it; deleting a thread takes nothing away.
    """
    found = await usage.sum_usage(container, user, since=since, until=until, group_by=group_by, **page)
    return JsonResponse(found)
