"""Sending messages: the main job."""

from ai_agents.core.exceptions import RequestError, ThreadNotFound
from ai_agents.runner.runner import RunResult, Started
from app.container import Container, Principal
from app.schemas.common import to_parts
from app.schemas.messages import CreateMessage


async def start_run(
    services: Container,
    user: Principal,
    thread_id: str,
    body: CreateMessage,
    *,
    key: str | None,
    fingerprint: str,
    follow: bool,
) -> Started:
    """Store the message and begin to answer it. Raises what `AgentRunner.start` raises, and `InvalidRequest`."""
    return await services.runner.start(
        thread_id,
        user.user_id,
        to_parts(body.content),
        attachments=body.attachments,
        metadata=body.metadata,
        on_busy=body.on_busy,
        idempotency_key=key,
        fingerprint=fingerprint,
        is_admin=user.is_admin,
        follow=follow,
    )


async def refuse(services: Container, user: Principal, thread_id: str, error: RequestError) -> RequestError:
    """What a request with a bad body gets: that error, or `ThreadNotFound` where its sender may not see the thread.

    The thread is looked at only now, when the body is known to be bad: a good one is admitted in a transaction that
    looks at it anyway.
    """
    if await services.auth.may_see(user.user_id, "thread", thread_id, is_admin=user.is_admin):
        return error
    return ThreadNotFound()


async def wait_for_answer(services: Container, started: Started) -> RunResult:
    """The run's end, or its wait for a person."""
    return await services.runner.wait(started.run["thread_id"], started.run["id"])
