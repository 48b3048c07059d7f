"""The background jobs that a completed run makes necessary, and when it is time for them."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from ai_agents.core.notices import Notice
from ai_agents.store import jobs
from ai_agents.store.runs import OwnedRun
from ai_agents.store.thread_log import Reserved

# After how many unusable summaries in a row the runs say so.
_MISSES_TOLD = 3


@dataclass(frozen=True, slots=True)
class NeededSummary:
    """A summary of the messages after the `seq` that the last one covers, which are more than twice `recent`.

    `seqs` are those of them that the run read, all from `unread_before_seq` on; it recorded `recorded` more.
    """

    covers: int
    recent: int
    seqs: tuple[int, ...]
    recorded: int
    unread_before_seq: int

    def is_due(self, misses: Mapping[str, int] | None) -> bool:
        """Whether it is asked for now: after each one that was not usable, the thread grows twice as far as before."""
        if misses is None or misses["seq"] < self.unread_before_seq:
            return True
        grown = self.recorded + sum(1 for seq in self.seqs if seq > misses["seq"])
        return bool(grown >= self.recent * 2 ** (misses["times"] - 1))


@dataclass(frozen=True, slots=True)
class NeededJobs:
    """The background jobs that a completed run makes necessary: a title, where the thread has none, and a summary.

    `trace` is the `traceparent` of the run.
    """

    title: bool = False
    summary: NeededSummary | None = None
    trace: str | None = None

    def request(self, connection: Connection, run: OwnedRun, reserved: Reserved) -> tuple[str, ...]:
        """Request the jobs of which it is time. Returns the ids of those that are new."""
        if reserved.is_temporary:
            return ()
        asked: list[str | None] = []
        if self.title and not reserved.titled:
            asked.append(jobs.request(connection, run.thread_id, "title", jobs.TITLE_RANGE, trace=self.trace))
        if self.summary is not None and self.summary.is_due(_misses(run, reserved)):
            covers = jobs.range_after(self.summary.covers)
            asked.append(jobs.request(connection, run.thread_id, "summarize", covers, trace=self.trace))
        return tuple(job_id for job_id in asked if job_id is not None)

    def notices(self, run: OwnedRun, reserved: Reserved) -> tuple[Notice, ...]:
        """That summaries are not usable, once that has happened often enough."""
        misses = None if self.summary is None else _misses(run, reserved)
        if misses is None or misses["times"] < _MISSES_TOLD:
            return ()
        return ({"code": "summary_unusable", "times": misses["times"]},)


def _misses(run: OwnedRun, reserved: Reserved) -> Mapping[str, int] | None:
    """The summaries in a row that were not usable; None where there are none of the run's version of the agent."""
    misses = reserved.summary_misses
    return None if misses is None or misses["agent_version"] < run.agent_version else misses
