"""Background jobs: rows of an outbox that are carried out after what made them needed."""

from ai_agents.workers.queue import queue_summarization, queue_title_generation

__all__ = ["queue_summarization", "queue_title_generation"]
