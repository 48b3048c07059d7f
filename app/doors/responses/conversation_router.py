"""The routes of conversations."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from starlette.responses import Response

from ai_agents.core.types import JsonObject
from app.authentication import AppContainer, ScopedUser
from app.dependencies import Once, json_body
from app.doors.base import DoorRoute
from app.doors.openai_errors import FORM
from app.doors.responses import conversations
from app.doors.responses.conversations import Conversation
from app.doors.responses.lists import ItemPage, Items
from app.doors.responses.schemas import CreateConversation, CreateItems, UpdateConversation
from app.openapi import BODY, ONCE, USER, failures
from app.responses import JsonResponse
from app.turns import LargeTurn

router = APIRouter(route_class=DoorRoute, tags=["openai"])


class ConversationRead(BaseModel):
    """A conversation."""

    id: str
    object: Literal["conversation"]
    created_at: int
    metadata: dict[str, str]


class DeletedConversation(BaseModel):
    """A conversation that was deleted."""

    id: str
    object: Literal["conversation.deleted"]
    deleted: Literal[True]


async def seen_conversation(conversation_id: str, user: ScopedUser, container: AppContainer) -> Conversation:
    """The conversation of the path. Raises `ConversationNotFound`."""
    return await conversations.find_conversation(container, user, conversation_id)


OnConversation = Annotated[Conversation, Depends(seen_conversation)]


@router.post(
    "/v1/conversations",
    response_model=ConversationRead,
    response_description="The new conversation.",
    responses=failures(*USER, *BODY, *ONCE, "quota_exceeded", form=FORM),
)
async def create_conversation(
    user: ScopedUser,
    container: AppContainer,
    once: Once,
    body: Annotated[CreateConversation, json_body(CreateConversation)],
) -> Response:
    """Begin a conversation. Its first response says with which agent it is."""

    async def may_see(found: JsonObject) -> None:
        await conversations.find_conversation(container, user, found["id"])

    made = await once.create(lambda: conversations.create(container, user, body), may_see=may_see)
    return JsonResponse(made)


@router.get(
    "/v1/conversations/{conversation_id}",
    response_model=ConversationRead,
    response_description="The conversation.",
    responses=failures(*USER, "not_found", form=FORM),
)
async def get_conversation(found: OnConversation) -> Response:
    """A conversation."""
    return JsonResponse(found.to_read())


@router.post(
    "/v1/conversations/{conversation_id}",
    response_model=ConversationRead,
    response_description="The conversation.",
    responses=failures(*USER, *BODY, "not_found", "forbidden", form=FORM),
)
async def update_conversation(
    found: OnConversation,
    user: ScopedUser,
    container: AppContainer,
    body: Annotated[UpdateConversation, json_body(UpdateConversation)],
) -> Response:
    """Replace the metadata of a conversation."""
    changed = await conversations.update(container, user, found, body.metadata or {})
    return JsonResponse(changed.to_read())


@router.delete(
    "/v1/conversations/{conversation_id}",
    response_model=DeletedConversation,
    response_description="The conversation is deleted.",
    responses=failures(*USER, "not_found", "forbidden", form=FORM),
)
async def delete_conversation(found: OnConversation, user: ScopedUser, container: AppContainer) -> Response:
    """Delete a conversation with all that was said."""
    await conversations.delete(container, user, found)
    return JsonResponse({"id": found.to_read()["id"], "object": "conversation.deleted", "deleted": True})


@router.get(
    "/v1/conversations/{conversation_id}/items",
    response_model=ItemPage,
    response_description="Items.",
    responses=failures(*USER, "invalid_request", "invalid_cursor", "not_found", form=FORM),
)
async def list_conversation_items(
    found: OnConversation, container: AppContainer, page: Items, _turn: LargeTurn
) -> Response:
    """What was said in a conversation, and the calls that were made."""
    return JsonResponse(await conversations.list_items(container, found, page))


@router.post(
    "/v1/conversations/{conversation_id}/items",
    response_model=ItemPage,
    response_description="The new items.",
    responses=failures(
        *USER, *BODY, "not_found", "forbidden", "thread_busy", "guardrail_blocked", "quota_exceeded", form=FORM
    ),
)
async def create_conversation_items(
    found: OnConversation,
    user: ScopedUser,
    container: AppContainer,
    body: Annotated[CreateItems, json_body(CreateItems)],
) -> Response:
    """Say something without an answer: what was said elsewhere, say."""
    return JsonResponse(await conversations.add_items(container, user, found, body.items))


@router.get(
    "/v1/conversations/{conversation_id}/items/{item_id}",
    response_model=JsonObject,
    response_description="The item.",
    responses=failures(*USER, "not_found", form=FORM),
)
async def get_conversation_item(found: OnConversation, item_id: str, container: AppContainer) -> Response:
    """An item of a conversation."""
    return JsonResponse(await conversations.get_item(container, found, item_id))
