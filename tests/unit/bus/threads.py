"""Rows and texts as tests need them."""

from ai_agents.bus.base import TextInProgress
from ai_agents.core import json
from ai_agents.core.types import LogRow


def row(
    seq: int, event: str = "thread.updated", *, run: str | None = None, resets: bool = False, thread: str = "thread"
) -> LogRow:
    """A row of a thread's log."""
    data = json.dumps({"type": event, "thread_id": thread, "seq": seq})
    return LogRow(thread, seq, event, run, data, resets, "2026-01-01T00:00:00Z")


def message_begun(base_seq: int = 1, *, fence: int = 1, run: str = "run") -> TextInProgress:
    """The text of a message that has just begun."""
    return TextInProgress(run_id=run, fence=fence, message_id=f"message-{base_seq}-{fence}", base_seq=base_seq)


def text_of(progress: TextInProgress | None) -> str:
    """All its text, each kind marked where it begins; `nothing` where there is no message."""
    if progress is None:
        return "nothing"
    return "".join(f"<{segment.kind}>{segment.text}" for segment in progress.since(1))
