"""Webhooks and their deliveries, as clients see them and as the tables have them. Times are RFC 3339 in UTC."""

from typing import Literal, TypedDict

WebhookEvent = Literal["run.completed", "run.failed", "run.cancelled", "run.waiting", "thread.updated"]
DeliveryStatus = Literal["pending", "delivered", "failed"]


class Webhook(TypedDict):
    """An address that is told of events. `agent_id`: of this agent's threads; None: of all threads."""

    id: str
    user_id: str
    agent_id: str | None
    url: str
    events: list[WebhookEvent]
    created_at: str


class NewWebhook(Webhook):
    """A webhook with its secret, which is shown this once."""

    secret: str


class WebhookRow(Webhook):
    """Every column of a webhook; see `store.webhook_tables.WebhookTable`."""

    key_id: str | None
    by_admin: bool
    sealed_secret: str
    failures: int
    paused_until: float


class Delivery(TypedDict):
    """One event that a webhook is told of. `last_status` is the HTTP status of the last answer; None without one."""

    id: str
    event: WebhookEvent
    status: DeliveryStatus
    attempts: int
    last_status: int | None
    created_at: str


class DeliveryRow(Delivery):
    """Every column of a delivery; see `store.webhook_tables.DeliveryTable`."""

    webhook_id: str
    thread_id: str
    run_id: str | None
    tries: int
    expires_at: float
