"""Webhooks: making, reading, changing and deleting them, and their deliveries."""

from sqlalchemy import Connection

from ai_agents.core.exceptions import DeliveryNotFound, InvalidRequest, KeyNotFound, PermissionDenied, WebhookNotFound
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.rows import Page
from ai_agents.core.webhook_rows import Delivery, NewWebhook, Webhook, WebhookRow
from ai_agents.store import audit, webhooks
from ai_agents.tools.base import ToolError
from ai_agents.tools.outbound import AddressNotPublic
from ai_agents.workers.webhooks import make_secret, seal_secret
from app.container import Container
from app.errors import Unauthorized
from app.schemas.webhooks import CreateWebhook, UpdateWebhook
from app.services.identity import (
    PageArguments,
    Principal,
    act_of,
    check_id,
    note_admin,
    require_admin,
    see_agent,
    whose,
)

_OWNERS = "Only owners of the agent make and change its webhooks."


async def create_webhook(container: Container, user: Principal, body: CreateWebhook) -> NewWebhook:
    """A new webhook with its secret, which is shown only now.

    Raises `AgentNotFound`, `PermissionDenied`, `InvalidRequest` for an address that may not be connected to, `Conflict`
    for a user who has too many, `Unauthorized`.
    """
    await _require_owner(container, user, body.agent_id)
    if user.sent not in {"key", "jwt"}:
        raise PermissionDenied("A token makes no webhooks: they outlast it.")
    if user.is_former:
        raise PermissionDenied("A former secret of a key makes no webhooks: they outlast it.")
    await _check_url(container, body.url)
    secret = make_secret()
    row: WebhookRow = {
        "id": new_id(),
        "user_id": user.user_id,
        "agent_id": body.agent_id,
        "key_id": user.key_id,
        "by_admin": user.is_admin,
        "url": body.url,
        "events": body.events,
        "sealed_secret": seal_secret(secret, container.tools.sealer),
        "failures": 0,
        "paused_until": 0.0,
        "created_at": utc_now(),
    }

    def create(connection: Connection) -> Webhook:
        made = webhooks.insert_webhook(connection, row)
        audit.record(connection, act_of(user, "webhook.create", "webhook", row["id"], subject_id=user.user_id))
        return made

    try:
        made = await container.conn.database.write(create)
    except KeyNotFound:
        raise Unauthorized("This API key has been deleted.") from None
    await container.stored_webhooks.refresh()
    return {**made, "secret": secret}


async def see_webhook(container: Container, user: Principal, webhook_id: str) -> WebhookRow:
    """A webhook that the user made, or of an agent that the user owns; an admin sees any. Raises `WebhookNotFound`."""
    check_id(webhook_id, WebhookNotFound)
    found = await container.webhooks.find(webhook_id, user_id=None if user.is_admin else user.user_id)
    if user.is_admin and found["user_id"] != user.user_id:
        await note_admin(container, user, "webhook", webhook_id)
    return found


async def list_webhooks(container: Container, user: Principal, page: PageArguments) -> Page[Webhook]:
    """The webhooks that the user sees, newest first. Raises `InvalidCursor`."""
    return await container.webhooks.list(await whose(container, user, "webhook"), **page)


async def update_webhook(container: Container, user: Principal, hook: WebhookRow, body: UpdateWebhook) -> Webhook:
    """Give the webhook another address, or other events. Raises `PermissionDenied`, `InvalidRequest`."""
    await _require_owner(container, user, hook["agent_id"])
    if body.url is not None:
        await _check_url(container, body.url)

    def change(connection: Connection) -> Webhook:
        changed = webhooks.change_webhook(connection, hook["id"], url=body.url, events=body.events)
        facts = {"url": body.url is not None, "events": body.events is not None}
        act = act_of(user, "webhook.change", "webhook", hook["id"], subject_id=hook["user_id"], details=facts)
        audit.record(connection, act)
        return changed

    return await container.conn.database.write(change)


async def delete_webhook(container: Container, user: Principal, hook: WebhookRow) -> None:
    """Delete the webhook with its deliveries; nothing more is sent. Raises `WebhookNotFound`."""

    def delete(connection: Connection) -> None:
        webhooks.delete_webhook(connection, hook["id"])
        audit.record(connection, act_of(user, "webhook.delete", "webhook", hook["id"], subject_id=hook["user_id"]))

    await container.conn.database.write(delete, long=True)
    await container.stored_webhooks.refresh()


async def list_deliveries(container: Container, hook: WebhookRow, page: PageArguments) -> Page[Delivery]:
    """The deliveries of the webhook, newest first. Raises `InvalidCursor`."""
    return await container.webhooks.list_deliveries(hook["id"], **page)


async def retry_delivery(container: Container, user: Principal, hook: WebhookRow, delivery_id: str) -> Delivery:
    """Send a delivery again, under its id. Raises `DeliveryNotFound`."""
    check_id(delivery_id, DeliveryNotFound)

    def retry(connection: Connection) -> Delivery:
        found = webhooks.retry_delivery(connection, delivery_id, webhook_id=hook["id"])
        audit.record(connection, act_of(user, "webhook.retry", "webhook", hook["id"], subject_id=hook["user_id"]))
        return found

    return await container.conn.database.write(retry)


async def _require_owner(container: Container, user: Principal, agent_id: str | None) -> None:
    """Raises `AgentNotFound`, and `PermissionDenied` for a user who neither owns the agent nor is an admin."""
    if agent_id is None:
        require_admin(user, "Only an admin has webhooks for all agents.")
        return
    agent = await see_agent(container, user, agent_id)
    if not user.is_admin and agent.role != "owner":
        raise PermissionDenied(_OWNERS, resource=("agent", agent_id))


async def _check_url(container: Container, url: str) -> None:
    """Raises `InvalidRequest` for an address that may not be connected to."""
    try:
        await container.tools.outbound.check(url)
    except AddressNotPublic as error:
        raise InvalidRequest(f"{error} AI_AGENTS_OUTBOUND_ALLOW makes exceptions.", loc=("url",)) from None
    except ToolError as error:
        raise InvalidRequest(str(error), loc=("url",)) from None
