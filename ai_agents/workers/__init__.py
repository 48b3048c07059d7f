"""Background jobs: rows of an outbox, written with what they follow from and carried out afterwards."""

from ai_agents.workers.queue import queue_summarization, queue_title_generation

__all__ = ["queue_summarization", "queue_title_generation"]
