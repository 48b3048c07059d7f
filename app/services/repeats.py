"""Idempotency keys: a request that is repeated with its key creates nothing new."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

from ai_agents.store import idempotency
from app.container import Container
from app.services.identity import Principal

AnswerT = TypeVar("AnswerT", bound=Mapping[str, Any])


class _Repeated(Exception):
    """A request with the same key was committed first: this transaction is rolled back. Its argument is the answer."""


async def is_repeated(container: Container, user: Principal, key: str) -> bool:
    """Whether this user has used this idempotency key before, for any request."""
    return await container.conn.database.read(lambda c: idempotency.exists(c, user.user_id, key))


async def create_once(
    container: Container,
    user: Principal,
    create: Callable[[], Awaitable[AnswerT]],
    *,
    key: str | None,
    fingerprint: str,
) -> AnswerT:
    """The result of `create`, or its first result if this user has sent the request with this key before.

    `create` may be rolled back, so it writes to the database and nowhere else. Raises `IdempotencyKeyReused`, and what
    `create` raises: then the key stays unused.
    """
    if key is None:
        return await create()
    database = container.conn.database
    try:
        async with database.transaction():
            found = await database.write(lambda c: idempotency.find(c, user.user_id, key, fingerprint))
            if found is not None and found.answer is not None:
                return cast("AnswerT", found.answer)
            answer = await create()
            first = await database.write(
                lambda c: idempotency.remember(c, user.user_id, key, fingerprint, answer=answer)
            )
            if first is not None and first.answer is not None:
                raise _Repeated(first.answer)
            return answer
    except _Repeated as repeated:
        return cast("AnswerT", repeated.args[0])
