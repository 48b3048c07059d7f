"""Webhooks, and what was sent to them."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from ai_agents.core.rows import only
from ai_agents.core.webhook_rows import Webhook, WebhookRow
from app.authentication import AppContainer, User
from app.dependencies import Paging, json_body
from app.openapi import BODY, PAGE, USER, failures, headers
from app.responses import JsonResponse, created, no_content
from app.schemas.answers.webhooks import DeliveryPage, DeliveryRead, NewWebhook, WebhookPage, WebhookRead
from app.schemas.webhooks import CreateWebhook, UpdateWebhook
from app.services import webhooks
from app.strict_routes import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["webhooks"])


async def _visible(webhook_id: str, user: User, container: AppContainer) -> WebhookRow:
    return await webhooks.see_webhook(container, user, webhook_id)


OnWebhook = Annotated[WebhookRow, Depends(_visible)]


@router.post(
    "/webhooks",
    status_code=201,
    response_model=NewWebhook,
    response_description="The webhook. `secret` is shown only in this answer.",
    responses={201: headers("Location"), **failures(*USER, *BODY, "not_found", "forbidden", "conflict")},
)
async def create_webhook(
    user: User, container: AppContainer, body: Annotated[CreateWebhook, json_body(CreateWebhook)]
) -> Response:
    """Let an address be told of events of an agent's threads, which its owners may; an admin's without an agent of all.

    What is sent is signed as Standard Webhooks say, and names ids only. The webhook ends with the key that makes it.
    """
    made = await webhooks.create_webhook(container, user, body)
    return created(made, f"/webhooks/{made['id']}")


@router.get("/webhooks", response_model=WebhookPage, response_description="Webhooks.", responses=failures(*USER, *PAGE))
async def list_webhooks(user: User, container: AppContainer, page: Paging) -> Response:
    """Your webhooks and those of agents that you own, newest first, without their secrets. An admin sees all."""
    return JsonResponse(await webhooks.list_webhooks(container, user, page))


@router.get(
    "/webhooks/{webhook_id}",
    response_model=WebhookRead,
    response_description="The webhook.",
    responses=failures(*USER, "not_found"),
)
async def get_webhook(hook: OnWebhook) -> Response:
    """A webhook, without its secret."""
    return JsonResponse(only(Webhook, hook))


@router.patch(
    "/webhooks/{webhook_id}",
    response_model=WebhookRead,
    response_description="The webhook.",
    responses=failures(*USER, *BODY, "not_found", "forbidden"),
)
async def update_webhook(
    user: User, container: AppContainer, hook: OnWebhook, body: Annotated[UpdateWebhook, json_body(UpdateWebhook)]
) -> Response:
    """Give a webhook another address or other events. Its secret stays."""
    return JsonResponse(await webhooks.update_webhook(container, user, hook, body))


@router.delete(
    "/webhooks/{webhook_id}",
    status_code=204,
    response_description="The webhook is deleted.",
    responses=failures(*USER, "not_found"),
)
async def delete_webhook(user: User, container: AppContainer, hook: OnWebhook) -> Response:
    """Delete a webhook with its deliveries. Nothing more is sent to it."""
    await webhooks.delete_webhook(container, user, hook)
    return no_content()


@router.get(
    "/webhooks/{webhook_id}/deliveries",
    response_model=DeliveryPage,
    response_description="Deliveries.",
    responses=failures(*USER, *PAGE, "not_found"),
)
async def list_deliveries(container: AppContainer, hook: OnWebhook, page: Paging) -> Response:
    """What the webhook was told, newest first: of seven days, and at most a thousand."""
    return JsonResponse(await webhooks.list_deliveries(container, hook, page))


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/retry",
    response_model=DeliveryRead,
    response_description="The delivery.",
    responses=failures(*USER, "not_found"),
)
async def retry_delivery(user: User, container: AppContainer, hook: OnWebhook, delivery_id: str) -> Response:
    """Send a delivery again, under the same `webhook-id`, for another day until it is taken."""
    return JsonResponse(await webhooks.retry_delivery(container, user, hook, delivery_id))
