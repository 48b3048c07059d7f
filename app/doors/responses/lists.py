"""Lists of items, as this protocol pages them: after an item, in either order."""

from collections.abc import Sequence
from typing import Annotated, Literal, TypedDict

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from ai_agents.core.exceptions import InvalidCursor
from ai_agents.core.types import JsonObject
from app.doors.responses.schemas import MAX_ID

Order = Literal["asc", "desc"]
MAX_LIMIT = 100


class ItemPage(BaseModel):
    """A page of items."""

    object: Literal["list"]
    data: list[JsonObject] = Field(max_length=MAX_LIMIT)
    first_id: str | None
    last_id: str | None
    has_more: bool


class ItemsAsked(TypedDict):
    """Which part of a list is asked for: after this item, in this order."""

    limit: int
    after: str | None
    order: Order


async def items_asked(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many at most.")] = 20,
    after: Annotated[
        str | None,
        Query(json_schema_extra={"maxLength": MAX_ID}, description="The id of the last item of the page before."),
    ] = None,
    order: Annotated[Order, Query(description="`asc`: oldest first.")] = "desc",
) -> ItemsAsked:
    """The page that the query asks for."""
    return {"limit": limit, "after": after, "order": order}


Items = Annotated[ItemsAsked, Depends(items_asked)]


def to_page(items: Sequence[JsonObject], *, has_more: bool) -> JsonObject:
    """A page of these items."""
    return {
        "object": "list",
        "data": list(items),
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
        "has_more": has_more,
    }


def page_of(items: Sequence[JsonObject], asked: ItemsAsked) -> JsonObject:
    """The page of a whole list, which is in ascending order. Raises `InvalidCursor`."""
    found = list(items) if asked["order"] == "asc" else list(reversed(items))
    if asked["after"] is not None:
        places = [n for n, item in enumerate(found) if item["id"] == asked["after"]]
        if not places:
            raise InvalidCursor
        found = found[places[0] + 1 :]
    return to_page(found[: asked["limit"]], has_more=len(found) > asked["limit"])
