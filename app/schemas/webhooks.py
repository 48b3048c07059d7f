"""Webhooks, as requests make and change them."""

from typing import Annotated

from pydantic import AfterValidator, Field

from ai_agents.core.webhook_rows import WebhookEvent
from ai_agents.store.webhooks import EVENTS
from app.schemas.common import Id, Strict


def _distinct(value: list[WebhookEvent]) -> list[WebhookEvent]:
    if len(set(value)) != len(value):
        raise ValueError("must name each event once")
    return value


Url = Annotated[
    str,
    Field(min_length=1, max_length=2000, description="Where the events are sent: an http or https address."),
]
Events = Annotated[
    list[WebhookEvent],
    Field(min_length=1, max_length=len(EVENTS), json_schema_extra={"uniqueItems": True}),
    AfterValidator(_distinct),
]


class CreateWebhook(Strict):
    """An address that is told of events of an agent's threads. Only an admin leaves the agent out: of all threads."""

    url: Url
    events: Events
    agent_id: Id | None = None


class UpdateWebhook(Strict):
    """Fields that are left out, or null, stay."""

    url: Url | None = None
    events: Events | None = None
