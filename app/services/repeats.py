"""Idempotency keys: a request that is repeated with its key creates nothing new.

What was answered first is shown again only to those who may see it now.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from ai_agents.core.exceptions import IdempotencyKeyReused
from ai_agents.store import idempotency
from ai_agents.store.idempotency import Remembered
from app.container import Container
from app.errors import RateLimited
from app.services.identity import Principal

AnswerT = TypeVar("AnswerT", bound=Mapping[str, Any])
# Raises `NotFound` where the user may not see the answer (any more).
MaySee = Callable[[AnswerT], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class SentKey:
    """The idempotency key of a request, and the fingerprint of what it asks for.

    `refusal` is the error of a request that is over the limit, and is answered only if it is a repeated one.
    The key holds for `within_s` seconds (None: 24 hours); with 0 the request is a new one that takes the key over.
    """

    key: str
    fingerprint: str
    refusal: RateLimited | None = None
    within_s: float | None = None


class _Repeated(Exception):
    """A request with the same key was committed first: this transaction is rolled back. Its argument is the answer."""


async def require_repeated(container: Container, user: Principal, sent: SentKey | None) -> None:
    """Raises `RateLimited` for a request over the limit that is no repeated one."""
    if sent is not None and sent.refusal is not None:
        await find_remembered(container, user, sent)


async def find_first(
    container: Container, user: Principal, *, sent: SentKey | None, may_see: MaySee[AnswerT]
) -> AnswerT | None:
    """What this very request was answered first; None for a new one, which is then judged like any other.

    Raises `IdempotencyKeyReused`, `RateLimited` for a new request over the limit, and what `may_see` raises.
    """
    found = None if sent is None else await find_remembered(container, user, sent)
    if found is None or found.answer is None:
        return None
    answer = cast("AnswerT", found.answer)
    await may_see(answer)
    return answer


async def find_remembered(container: Container, user: Principal, sent: SentKey) -> Remembered | None:
    """What the request with this key led to. Raises `IdempotencyKeyReused`, `RateLimited`."""
    if sent.within_s == 0:
        return None
    try:
        found = await container.conn.database.read(
            lambda c: idempotency.find(c, user.user_id, sent.key, sent.fingerprint, within_s=sent.within_s)
        )
    except IdempotencyKeyReused:
        raise sent.refusal or IdempotencyKeyReused from None
    if found is None and sent.refusal is not None:
        raise sent.refusal
    return found


async def create_once(
    container: Container,
    user: Principal,
    create: Callable[[], Awaitable[AnswerT]],
    *,
    sent: SentKey | None,
    may_see: MaySee[AnswerT],
) -> AnswerT:
    """The result of `create`, or its first result if this user has sent the request with this key before.

    `create` may be rolled back, so it writes to the database and nowhere else. Each user creates one thing at a time.
    Raises what `find_first` raises, and what `create` raises: then the key stays unused.
    """
    async with container.user_locks.hold(user.user_id):
        return await _create_once(container, user, create, sent, may_see)


async def _create_once(
    container: Container,
    user: Principal,
    create: Callable[[], Awaitable[AnswerT]],
    sent: SentKey | None,
    may_see: MaySee[AnswerT],
) -> AnswerT:
    if sent is None:
        return await create()
    database = container.conn.database
    try:
        async with database.transaction():
            found = await find_first(container, user, sent=sent, may_see=may_see)
            if found is not None:
                return found
            answer = await create()
            first = await database.write(
                lambda c: idempotency.remember(c, user.user_id, sent.key, sent.fingerprint, answer=answer)
            )
            if first is not None and first.answer is not None:
                raise _Repeated(first.answer)
            return answer
    except _Repeated as repeated:
        answer = cast("AnswerT", repeated.args[0])
        await may_see(answer)
        return answer


async def for_admins(_answer: object) -> None:
    """The `may_see` of what admins make, where the request has to be an admin's: every admin may see it."""
