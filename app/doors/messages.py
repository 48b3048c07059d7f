"""Messages that come to doors: those that repeat others, and the runs of new ones."""

from collections.abc import Sequence
from typing import Unpack

from ai_agents.core.exceptions import IdempotencyKeyReused, ThreadNotFound
from ai_agents.core.rows import Run
from ai_agents.core.types import FilePart, TextPart
from ai_agents.runner.outcomes import Started
from ai_agents.runner.sending import MessageOptions
from ai_agents.store import runs
from ai_agents.streams.reader import StreamReader
from ai_agents.streams.rights import ReadRight
from app.container import Container
from app.services.identity import Principal, see_thread
from app.services.repeats import SentKey, find_remembered


async def find_repeated(container: Container, user: Principal, sent: SentKey) -> Started | None:
    """The run of the request that this one repeats; None for a new one.

    Raises `IdempotencyKeyReused`, `RateLimited`, and `ThreadNotFound` where the user may not see the run any more.
    """
    found = await find_remembered(container, user, sent)
    if found is None or found.run_id is None:
        return None
    return Started(await see_run(container, user, found.run_id), None, replayed=True, message_id=found.message_id)


async def see_run(container: Container, user: Principal, run_id: str) -> Run:
    """A run by its id alone. Raises `ThreadNotFound` where it is gone, or the user may not see it."""
    thread_id = await container.conn.database.read(lambda c: runs.find_thread_id(c, run_id))
    if thread_id is None:
        raise ThreadNotFound
    await see_thread(container, user, thread_id)
    return await container.runs.get(thread_id, run_id)


async def start(
    container: Container,
    user: Principal,
    thread_id: str,
    parts: Sequence[TextPart | FilePart],
    *,
    sent: SentKey,
    follow: bool,
    right: ReadRight,
    **options: Unpack[MessageOptions],
) -> Started:
    """Store the message in the thread and start its run. Raises what `AgentRunner.start` raises."""
    given: MessageOptions = {
        **options,
        "idempotency_key": sent.key,
        "fingerprint": sent.fingerprint,
        "key_within_s": sent.within_s,
        "key_id": user.key_id,
        **user.reach,
    }
    try:
        return await container.runner.start(thread_id, user.user_id, parts, follow=follow, right=right, **given)
    except IdempotencyKeyReused:
        # The same request may have come twice at once, each for a thread of its own.
        if (found := await find_repeated(container, user, sent)) is not None:
            return found
        raise


async def follow(container: Container, started: Started, right: ReadRight) -> StreamReader:
    """A reader of the run from its first event, as long as there is the right."""
    return await container.runner.read_started(started, right=right)
