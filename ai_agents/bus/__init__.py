"""Previews and wake-ups, from the processes that run agents to the readers of their threads. All of it may be lost."""
