"""The process that runs turns: its tasks, its leases and its periodic tasks."""
