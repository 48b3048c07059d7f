"""Summaries: the latest summary and the messages after it become a new summary. Messages are never changed.

The newest `recent` messages stay outside, and only whole turns are summarized. A long stretch takes several jobs; each
queues the next in the transaction of its effect.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from ai_agents.context.purposes import CallPurpose
from ai_agents.core.rows import Agent
from ai_agents.core.types import JsonObject, ModelMessage, StoredSummary
from ai_agents.memory.strategies import Summarize
from ai_agents.memory.turns import starts_of_turns
from ai_agents.store import jobs, summaries, thread_log
from ai_agents.store.history import History
from ai_agents.store.jobs import ClaimedJob
from ai_agents.workers import transcript
from ai_agents.workers.job_context import Effect, JobContext, agent_of_thread, purpose_in_thread

# The most that one summary is made from: it fits a window of 32,000 tokens in any language.
_MAX_MESSAGES = 400
_MAX_CHARACTERS = 48_000
_MAX_TOKENS = 2500
# A shorter answer is an excuse or was cut off.
_SHORTEST = 20
_TASK = (
    "You keep the memory of a long conversation between a user and an assistant. You are given the summary so far, if "
    "there is one, and what was said since, one message a line as JSON. Answer with the new summary and with nothing "
    "else. It replaces both, and whatever is not in it is forgotten: keep names, numbers, dates, decisions, what the "
    "user wants and prefers, what the tools found, which files were attached and what came of them, and what is still "
    "open. Report in the third person who said what. At most 400 words, in the language of the conversation."
)
_REMINDER = "Write the new summary of everything above."
_EXCUSE = re.compile(r"(i'?m sorry|i am sorry|sorry,|i can(no|')t\b|i am unable|i'm unable|as an ai\b)", re.IGNORECASE)
# Characters of each message in a summary without a model.
_EXCERPT = 160


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What to summarize: the summary so far, the messages after it, and whether more have to follow."""

    agent: Agent
    purpose: CallPurpose
    old_text: str
    covers: int
    messages: tuple[ModelMessage, ...]
    more: bool


async def make_summary(context: JobContext, job: ClaimedJob) -> Effect:
    """The effect that adds the job's summary. Raises as the provider does."""
    thread_id = str(job.thread_id)
    stretch = await context.database.read(lambda c: _read(c, context, thread_id, job.range_key), long=True)
    if stretch is None:
        return lambda _connection: {"written": False, "reason": "There is nothing to compact."}
    text = await _summarize(context, stretch)
    judged = await context.judge(stretch.agent, text, stretch.purpose)

    def write(connection: Connection) -> JsonObject:
        judged.record(connection)
        if len(judged.text) < _SHORTEST or _EXCUSE.match(judged.text):
            expected = StoredSummary(stretch.old_text, stretch.covers) if stretch.old_text else None
            summaries.note_miss(connection, thread_id, agent_version=stretch.agent["version"], expected=expected)
            return {"written": False, "reason": "The model gave no usable summary."}
        return _write(connection, thread_id, stretch, judged.text, trace=job.trace)

    return write


async def _summarize(context: JobContext, stretch: _Stretch) -> str:
    provider, model = await context.choose(stretch.agent)
    if not provider.capabilities(model).instructions:
        return _excerpts(stretch)
    records = [("summary", stretch.old_text)] if stretch.old_text else []
    # Only a single turn can be longer than this.
    conversation = "\n".join(transcript.lines(stretch.messages))
    records.append(("conversation", transcript.cut(conversation, _MAX_CHARACTERS)))
    request = transcript.ask(
        model, _TASK, records, max_tokens=_MAX_TOKENS, reminder=_REMINDER, api=context.api(stretch.agent)
    )
    response = await context.contexts.complete(provider, request, stretch.purpose)
    # A cut summary lacks its end, and memory would lack it, too.
    return "" if response.stop_reason in ("max_tokens", "context_exceeded") else transcript.answer_text(response)


def _excerpts(stretch: _Stretch) -> str:
    """A summary without a model: the beginning of each message, the newest 200 lines."""
    lines = [line[:_EXCERPT] for line in transcript.lines(stretch.messages)]
    return "\n".join([*stretch.old_text.splitlines(), *lines][-200:])


def _write(
    connection: Connection, thread_id: str, stretch: _Stretch, text: str, *, trace: str | None = None
) -> JsonObject:
    through_seq = stretch.messages[-1].seq or 0
    thread_log.lock(connection, thread_id)
    history = History(connection, thread_id)
    if history.count(after_seq=stretch.covers, through_seq=through_seq) != len(stretch.messages):
        return {"written": False, "reason": "Some of these messages are answered anew."}
    written = summaries.add(
        connection,
        thread_id,
        text,
        covers_through_seq=through_seq,
        expected_covers=stretch.covers,
        expected_text=stretch.old_text,
    )
    if not written:
        return {"written": False, "reason": "The summary has changed meanwhile."}
    if stretch.more:
        jobs.request(connection, thread_id, "summarize", jobs.range_after(through_seq), trace=trace)
    return {"written": True, "covers_through_seq": through_seq}


def _read(connection: Connection, context: JobContext, thread_id: str, range_key: str) -> _Stretch | None:
    """What to summarize now; None if the range is summarized already or holds no whole turn."""
    agent = agent_of_thread(connection, thread_id)
    if agent is None:
        return None
    found = summaries.newest(connection, thread_id)
    covers = found.covers_through_seq if found else 0
    if range_key != jobs.range_after(covers):
        return None
    strategy = context.contexts.requests.strategy(agent)
    kept = (strategy if isinstance(strategy, Summarize) else Summarize()).recent
    most = _MAX_MESSAGES + kept
    messages = History(connection, thread_id).after(covers, limit=most)
    # The messages that stay outside begin with a whole turn.
    end = max((start for start in starts_of_turns(messages) if start <= len(messages) - kept), default=0)
    if not end:
        return None
    reach = _readable(messages, end)
    more = len(messages) == most or reach < end
    purpose = purpose_in_thread(connection, agent, thread_id)
    return _Stretch(agent, purpose, found.text if found else "", covers, tuple(messages[:reach]), more=more)


def _readable(messages: Sequence[ModelMessage], end: int) -> int:
    """How many of the first `end` messages fit into one summary: whole turns, at least one."""
    size, reach = 0, 0
    borders = [*[start for start in starts_of_turns(messages[:end]) if start], end]
    for border in borders:
        size += sum(map(len, transcript.lines(messages[reach:border])))
        if reach and size > _MAX_CHARACTERS:
            break
        reach = border
    return reach
