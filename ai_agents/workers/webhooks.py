"""Sending webhooks: signed as Standard Webhooks say, with ids only, again and again for a day.

The signature is described at https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
(read 2026-11-30).
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx2
from sqlalchemy import Connection

from ai_agents.core import json
from ai_agents.core.exceptions import DeliveryNotFound, WebhookNotFound
from ai_agents.core.types import JsonObject
from ai_agents.core.webhook_rows import DeliveryRow, WebhookRow
from ai_agents.store import webhooks
from ai_agents.store.jobs import ClaimedJob
from ai_agents.store.sealing import SealBroken, Sealer
from ai_agents.store.webhooks import KIND
from ai_agents.tools.base import ToolError
from ai_agents.tools.outbound import Outbound
from ai_agents.workers.job_context import Effect, JobContext, JobPutOff

__all__ = ["KIND", "deliver", "make_secret", "open_secret", "seal_secret", "sign"]
_SCHEME = "whsec_"
_SECRET_BYTES = 32
TIMEOUT_S = 10.0
# Nothing of an answer's body is used; reading a little lets the connection end in order.
_READ_BYTES = 4096
# The first wait after a failed attempt; each further one is three times as long.
_FIRST_WAIT_S = 5.0
_LONGEST_WAIT_S = 7200.0
# After failures in a row, deliveries that were not tried yet wait for an address that does not answer.
_LONGEST_PAUSE_S = 300.0


def make_secret() -> str:
    """A new secret that signs, as its webhook's user gets it."""
    return _SCHEME + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def seal_secret(secret: str, sealer: Sealer) -> str:
    """A secret as the webhook's row holds it."""
    return sealer.seal({"secret": secret})


def open_secret(sealed: str, sealer: Sealer) -> str:
    """The secret of a row. Raises `SealBroken`."""
    return str(sealer.open(sealed)["secret"])


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature` of a message; `timestamp` is in seconds since 1970."""
    key = base64.b64decode(secret.removeprefix(_SCHEME))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


@dataclass(frozen=True, slots=True)
class _Task:
    """A delivery that is due. `paused_s`: for how long its webhook is paused. `left_s`: for how long it is tried."""

    delivery: DeliveryRow
    hook: WebhookRow
    holds: bool
    paused_s: float
    left_s: float


async def deliver(context: JobContext, job: ClaimedJob) -> Effect:
    """Send the delivery that the job's range names. Raises `JobPutOff` where it is to be tried again."""
    task = await context.database.read(lambda c: _find(c, job.range_key))
    if task is None or task.delivery["status"] != "pending":
        return lambda _connection: {}
    delivery, hook = task.delivery, task.hook
    secret = _secret(context, hook)
    if not task.holds or task.left_s <= 0 or secret is None or context.outbound is None:
        return _no_result(lambda c: webhooks.give_up(c, delivery["id"]))
    # What was tried once is tried again in its time; the others do not all wait for the same dead address.
    if task.paused_s and delivery["tries"] != 1:
        raise JobPutOff("The webhook is paused.", wait_s=task.paused_s, record=lambda _connection: None)
    status = await _send(context.outbound, hook["url"], secret, delivery)
    if status is not None and 200 <= status < 300:
        return _no_result(lambda c: _record_success(c, delivery, status))
    wait_s = min(_FIRST_WAIT_S * 3.0 ** delivery["tries"], _LONGEST_WAIT_S)
    failures = hook["failures"] + 1
    pause_s = min(_FIRST_WAIT_S * 2.0 ** min(failures - 1, 10), _LONGEST_PAUSE_S)
    ended = wait_s >= task.left_s

    def record(connection: Connection) -> None:
        webhooks.record_attempt(connection, delivery, status, ended="failed" if ended else None)
        webhooks.record_health(connection, hook["id"], failures=failures, paused_s=pause_s)

    if ended:
        return _no_result(record)
    reason = "There was no answer." if status is None else f"The answer was {status}."
    raise JobPutOff(reason, wait_s=wait_s, record=record)


def _find(connection: Connection, delivery_id: str) -> _Task | None:
    try:
        delivery = webhooks.find_delivery(connection, delivery_id)
        hook = webhooks.find_webhook(connection, delivery["webhook_id"])
    except (DeliveryNotFound, WebhookNotFound):
        return None
    return _Task(
        delivery,
        hook,
        webhooks.still_holds(connection, hook),
        webhooks.seconds_paused(connection, hook),
        webhooks.seconds_left(connection, delivery),
    )


def _secret(context: JobContext, hook: WebhookRow) -> str | None:
    """The secret; None where it was sealed with a key that is gone: nothing unsigned is sent."""
    try:
        return None if context.sealer is None else open_secret(hook["sealed_secret"], context.sealer)
    except SealBroken:
        return None


def _record_success(connection: Connection, delivery: DeliveryRow, status: int) -> None:
    webhooks.record_attempt(connection, delivery, status, ended="delivered")
    webhooks.record_health(connection, delivery["webhook_id"], failures=0, paused_s=0.0)


def _no_result(write: Callable[[Connection], None]) -> Effect:
    def effect(connection: Connection) -> JsonObject:
        write(connection)
        return {}

    return effect


async def _send(outbound: Outbound, url: str, secret: str, delivery: DeliveryRow) -> int | None:
    """The HTTP status of the answer; None where there was none in time, or the address may not be connected to."""
    data = {"thread_id": delivery["thread_id"], "run_id": delivery["run_id"]}
    body = json.dumps({"type": delivery["event"], "timestamp": delivery["created_at"], "data": data}).encode()
    now = int(time.time())
    headers = {
        **outbound.trace_headers(url),
        "content-type": "application/json",
        "webhook-id": delivery["id"],
        "webhook-timestamp": str(now),
        "webhook-signature": sign(secret, delivery["id"], now, body),
    }
    status = None
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            outbound.client(timeout_s=TIMEOUT_S, max_bytes=_READ_BYTES) as client,
            client.stream("POST", url, content=body, headers=headers) as response,
        ):
            status = response.status_code
            async for _ in response.aiter_raw():
                pass
    except (TimeoutError, ToolError, httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError):
        pass  # with the head of an answer it has answered
    return status
