"""What a request of a door has begun: a run by its message, or the rest of one by results that it waited for."""

from dataclasses import dataclass

from sqlalchemy import Connection

from ai_agents.core.exceptions import RunNotFound
from ai_agents.core.rows import Run
from ai_agents.runner.outcomes import Started
from ai_agents.store import idempotency
from ai_agents.streams.reader import StreamReader
from ai_agents.streams.rights import ReadRight
from app.container import Container
from app.doors import messages
from app.services.identity import Principal
from app.services.repeats import SentKey, find_remembered


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that answers the request: `started` by its message, or going on with results, `after` this event of it."""

    run: Run
    after: str | None = None
    started: Started | None = None


async def find_begun(container: Container, user: Principal, sent: SentKey) -> Begun | None:
    """What the request has begun that this one repeats; None for a new one. Raises as `messages.find_repeated` does."""
    found = await find_remembered(container, user, sent)
    if found is None:
        return None
    if found.run_id is not None:
        run = await messages.see_run(container, user, found.run_id)
        return Begun(run, started=Started(run, None, replayed=True, message_id=found.message_id))
    told = found.answer or {}
    return Begun(await messages.see_run(container, user, str(told.get("run_id"))), after=told.get("after"))


async def remember_going_on(container: Container, user: Principal, sent: SentKey, run: Run, after: str) -> Begun:
    """Note that the request has let the run go on after this event."""
    told = {"run_id": run["id"], "after": after}

    def remember(connection: Connection) -> None:
        idempotency.remember(connection, user.user_id, sent.key, sent.fingerprint, answer=told, within_s=sent.within_s)

    await container.conn.database.write(remember)
    return Begun(run, after=after)


async def follow(container: Container, begun: Begun, right: ReadRight) -> StreamReader:
    """A reader of what answers the request, as long as there is the right."""
    if begun.started is not None:
        return await messages.follow(container, begun.started, right)
    run = begun.run
    reader = await container.runner.read_run(run["thread_id"], run["id"], after=begun.after, right=right)
    if reader is None:
        raise RunNotFound
    return reader
