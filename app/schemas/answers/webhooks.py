"""Webhooks and their deliveries."""

from ai_agents.core import webhook_rows
from app.schemas.answers.models import model_of, page_of

WebhookRead = model_of("WebhookRead", webhook_rows.Webhook, agent_id="Null: of all agents.")
NewWebhook = model_of(
    "NewWebhook",
    webhook_rows.NewWebhook,
    "A webhook. `secret` is shown in this answer alone.",
    agent_id="Null: of all agents.",
)
WebhookPage = page_of("WebhookPage", WebhookRead, "Webhooks, newest first.")
DeliveryRead = model_of(
    "DeliveryRead",
    webhook_rows.Delivery,
    "One event that a webhook is told of. `id` is the `webhook-id` of every attempt.",
    last_status="The HTTP status of the last answer; null where there was none.",
)
DeliveryPage = page_of("DeliveryPage", DeliveryRead, "Deliveries, newest first.")
