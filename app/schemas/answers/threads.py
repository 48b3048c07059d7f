"""Threads."""

from ai_agents.core import activity_rows, rows
from app.schemas.answers.agents import ROLE
from app.schemas.answers.models import model_of, page_of

ThreadFieldsRead = model_of("ThreadFields", rows.ThreadFields, "A conversation, without what happens in it.")
ThreadRead = model_of(
    "ThreadRead",
    rows.SeenThread,
    "A conversation.",
    last_activity_at="Moves with messages and runs, not with changes of the thread itself.",
    preview="The beginning of the newest text of a user or the assistant; null where there is no text.",
    message_count="How many messages the history has.",
    running="Whether a run is running.",
    role=ROLE,
    agent_role="The same for the thread's agent, without which a message cannot be sent; null also where the agent is "
    "deleted.",
)
ThreadPage = page_of("ThreadPage", ThreadRead, "Threads, newest first.")
ThreadActivityRead = model_of("ThreadActivity", activity_rows.ThreadActivity)
