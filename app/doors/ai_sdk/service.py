"""What a page of `useChat` begins: a run by a message, or the rest of one by answers; and what it comes back to."""

from dataclasses import dataclass

from sqlalchemy import Connection

from ai_agents.core.exceptions import Conflict, InvalidRequest, ThreadNotFound
from ai_agents.core.ids import is_id
from ai_agents.core.rows import Run
from ai_agents.core.types import JsonObject, ToolDefinition
from ai_agents.runner.sending import MessageOptions
from ai_agents.store import runs, thread_log
from ai_agents.store.messages import list_messages
from app.authentication import StreamRight
from app.container import Container
from app.doors import messages
from app.doors.ai_sdk.history import to_ui_messages
from app.doors.ai_sdk.reading import NOTHING, Ask, digest, read_ask
from app.doors.ai_sdk.schemas import ChatBody
from app.doors.answers import answer_all, find_waiting
from app.doors.begun import Begun, find_begun
from app.doors.files import FileKeeper
from app.doors.threads import Place, find_thread, thread_for
from app.services import runs as run_services
from app.services.identity import Principal, see_thread
from app.services.messages import start_retry
from app.services.repeats import SentKey

DOOR = "ai-sdk"
# Of a chat's end, what a page is shown when it opens.
MOST_SHOWN = 1_000


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A run that goes on, or waits, and how many of its waits are over."""

    run: Run
    past_waits: int


@dataclass(frozen=True, slots=True)
class _Request:
    """What a page sends to the chat of this id, and what it asks for."""

    user: Principal
    chat_id: str
    body: ChatBody
    ask: Ask

    @property
    def sent(self) -> SentKey:
        """By what it is known again. No key of a client of our own routes has a space in it."""
        return _key(self.chat_id, self.ask.key)


def _key(*asked: str) -> SentKey:
    found = digest(*asked)
    return SentKey(f"ai-sdk {found}", found)


async def send(container: Container, user: Principal, chat_id: str, body: ChatBody) -> tuple[Begun, Ask]:
    """Begin what the page asks for, or find what it has begun, in the chat of this id.

    Raises `ThreadNotFound`, `OtherAgent`, `InvalidRequest`, `Conflict` for answers to calls that do not wait and for
    another answer than the last to be made anew, and what `AgentRunner.start` raises.
    """
    if body.trigger == "regenerate-message":
        return await _regenerate(container, user, chat_id, body.message_id), NOTHING
    request = _Request(user, chat_id, body, read_ask(body))
    if (repeated := await find_begun(container, user, request.sent)) is not None:
        return repeated, request.ask
    if request.ask.parts:
        return await _start(container, request), request.ask
    place = await _find(container, user, chat_id)
    answers = request.ask.answers
    waiting = await find_waiting(container, place.thread_id)
    if waiting is None or not waiting.is_answered_by(answers):
        raise Conflict("No call of this chat waits for an answer.")
    loc = ("messages", len(body.messages) - 1, "parts")
    return await answer_all(container, user, waiting, answers, sent=request.sent, loc=loc), request.ask


async def _regenerate(container: Container, user: Principal, chat_id: str, message_id: str | None) -> Begun:
    """Make the last answer anew. A message of the page that is an answer has its run's id."""
    place = await _find(container, user, chat_id)
    last = (await container.runs.list(place.thread_id, limit=1))["data"]
    if not last or (message_id is not None and is_id(message_id) and message_id != last[0]["id"]):
        raise Conflict("Only the last answer is made anew.")
    run_id = last[0]["id"]
    started = await start_retry(
        container,
        user,
        place.thread_id,
        run_id,
        sent=_key(chat_id, "regenerate", run_id),
        follow=True,
        right=StreamRight(container, user, place.thread_id),
    )
    return Begun(started.run, started=started)


async def _start(container: Container, request: _Request) -> Begun:
    user, body = request.user, request.body
    options: MessageOptions = {}
    if body.tools:
        options["client_tools"] = [ToolDefinition(each.name, each.description, each.parameters) for each in body.tools]
    async with FileKeeper(container, user) as keeper:
        thread_id = await _thread_of(container, user, request.chat_id, body.agent_id)
        started = await messages.start(
            container,
            user,
            thread_id,
            await keeper.keep(request.ask.parts),
            sent=request.sent,
            follow=True,
            right=StreamRight(container, user, thread_id),
            **options,
        )
    return Begun(started.run, started=started)


async def _thread_of(container: Container, user: Principal, chat_id: str, agent_id: str | None) -> str:
    """The thread of the chat; a new one, with the agent, where there is none."""
    if agent_id is not None:
        return await thread_for(container, user, DOOR, chat_id, agent_id)
    place = await find_thread(container, user, DOOR, chat_id)
    if place is None:
        raise InvalidRequest("A new chat names its agent.", loc=("agent_id",))
    return place.thread_id


async def _find(container: Container, user: Principal, chat_id: str) -> Place:
    """The thread of the chat, which the user sees. Raises `ThreadNotFound`."""
    place = await find_thread(container, user, DOOR, chat_id)
    if place is None:
        raise ThreadNotFound
    await see_thread(container, user, place.thread_id)
    return place


async def find_under_way(container: Container, user: Principal, chat_id: str) -> UnderWay | None:
    """The run of the chat that is under way or waits; None for none. Raises `ThreadNotFound`."""
    place = await find_thread(container, user, DOOR, chat_id)
    if place is None:
        # A page asks before its first message, too.
        return None
    await see_thread(container, user, place.thread_id)

    def find(connection: Connection) -> UnderWay | None:
        row = runs.find_active(connection, place.thread_id)
        if row is None:
            return None
        waits = len(thread_log.waits_of_run(connection, row["id"]))
        return UnderWay(runs.to_public(row), waits - (row["status"] == "waiting"))

    return await container.conn.database.read(find)


async def list_chat(container: Container, user: Principal, chat_id: str) -> list[JsonObject]:
    """The messages of the chat, the newest of them, as the page takes them. Raises `ThreadNotFound`."""
    place = await _find(container, user, chat_id)
    found = await container.conn.database.read(
        lambda c: list_messages(c, place.thread_id, limit=MOST_SHOWN, order="desc"), long=True
    )
    return to_ui_messages(list(reversed(found["data"])))


async def stop(container: Container, user: Principal, chat_id: str) -> None:
    """Cancel what is under way in the chat, if anything is. Raises `ThreadNotFound`, `PermissionDenied`."""
    found = await find_under_way(container, user, chat_id)
    if found is not None:
        seen = await see_thread(container, user, found.run["thread_id"])
        await run_services.cancel_run(container, user, seen, found.run["id"])
