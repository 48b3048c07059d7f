"""Titles for threads: a model is asked and its answer tidied. A title that a person wrote is never replaced."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from ai_agents.context.purposes import CallPurpose
from ai_agents.core.exceptions import AIAgentsError
from ai_agents.core.parts import text_of
from ai_agents.core.rows import Agent
from ai_agents.core.types import FilePart, JsonObject, ModelMessage
from ai_agents.store.history import History
from ai_agents.store.jobs import MAX_ATTEMPTS, ClaimedJob
from ai_agents.store.models import ThreadTable
from ai_agents.store.threads import set_generated_title
from ai_agents.workers import transcript
from ai_agents.workers.job_context import Effect, JobContext, agent_of_thread, purpose_in_thread
from ai_agents.workers.title_lines import one_line, shorten, tidy

_SHOWN_MESSAGES = 6
# Enough for a model that thinks before it answers; the title itself takes a dozen.
_MAX_TOKENS = 1000
_TASK = (
    "You name conversations. Answer with a title for the recorded conversation and with nothing else: one line of two "
    "to seven words, in the language that the user writes in, without quotation marks, markup or a full stop."
)
_REMINDER = "Write the title of the conversation above, in the user's language."


@dataclass(frozen=True, slots=True)
class _Beginning:
    """The first messages of a thread, and what its title is made for."""

    agent: Agent
    messages: Sequence[ModelMessage]
    purpose: CallPurpose


async def make_title(context: JobContext, job: ClaimedJob) -> Effect:
    """The effect that gives the job's thread a title.

    Raises the provider's retryable errors; at the last attempt the first words of the thread become its title.
    """
    thread_id = str(job.thread_id)
    found = await context.database.read(lambda c: _read(c, thread_id))
    if found is None:
        return lambda _connection: {"written": False}
    title = await _ask_model(context, found, job) or first_words(found.messages)
    judged = await context.judge(found.agent, title, found.purpose)
    title = shorten(judged.text)

    def write(connection: Connection) -> JsonObject:
        judged.record(connection)
        return {"written": bool(title) and set_generated_title(connection, thread_id, title)}

    return write


async def _ask_model(context: JobContext, found: _Beginning, job: ClaimedJob) -> str:
    """The model's title; "" if the answer is not usable or the model cannot be asked."""
    agent = found.agent
    try:
        provider, model = await context.choose(agent)
        if not provider.capabilities(model).instructions:
            return ""
        records = [("conversation", "\n".join(transcript.lines(found.messages)))]
        request = transcript.ask(
            model, _TASK, records, max_tokens=_MAX_TOKENS, reminder=_REMINDER, api=context.api(agent)
        )
        response = await context.contexts.complete(provider, request, found.purpose)
        return tidy(transcript.answer_text(response))
    except AIAgentsError as error:
        if error.retryable and job.attempts < MAX_ATTEMPTS:
            raise
        return ""


def _read(connection: Connection, thread_id: str) -> _Beginning | None:
    """None where the thread has a title, or nothing that a title could be made of."""
    title = connection.execute(select(ThreadTable.title).where(ThreadTable.id == thread_id)).one_or_none()
    if title is None or title[0] is not None:
        return None
    agent, messages = agent_of_thread(connection, thread_id), History(connection, thread_id).first(_SHOWN_MESSAGES)
    if agent is None or not messages:
        return None
    return _Beginning(agent, messages, purpose_in_thread(connection, agent, thread_id))


def first_words(messages: Sequence[ModelMessage]) -> str:
    """A title from the user's first text, or from the name of the user's first file; "" if there is neither."""
    for message in messages:
        if message.role == "user":
            text = one_line(text_of(message.parts))
            named = text or next((part.filename for part in message.parts if isinstance(part, FilePart)), "")
            if named:
                return tidy(named) or shorten(named)
    return ""
