"""Creating a thing once, however often the request for it arrives: `Idempotency-Key`."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

from ai_agents.store import idempotency
from app.container import Container, Principal

AnswerT = TypeVar("AnswerT", bound=Mapping[str, Any])


class _WasFirst(Exception):
    """The same request was first: what this one has done is undone."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__()
        self.answer = answer


async def create_once(
    services: Container,
    user: Principal,
    create: Callable[[], Awaitable[AnswerT]],
    *,
    key: str | None,
    fingerprint: str,
) -> AnswerT:
    """What `create` gives, or gave when this user first sent the request with this key.

    `create` writes through the stores and nothing else, since it may be undone. Raises `IdempotencyKeyReused`, and
    what `create` raises; the key stays unused then.
    """
    if key is None:
        return await create()
    database = services.conn.database
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
                raise _WasFirst(first.answer)
            return answer
    except _WasFirst as same:
        return cast("AnswerT", same.answer)
