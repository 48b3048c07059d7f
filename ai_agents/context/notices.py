"""Notices of runs: each is about one subject, and a newer one replaces an older one about the same."""

from collections.abc import Sequence

from ai_agents.core.notices import Notice


def add_notices(notices: list[Notice], new: Sequence[Notice]) -> None:
    """Add notices to a list; each replaces an earlier one about the same subject."""
    notices[:] = merge_notices(notices, new)


def merge_notices(earlier: Sequence[Notice], now: Sequence[Notice]) -> tuple[Notice, ...]:
    """The notices from before a run waited, and those since; of two about the same subject, the newer one."""
    newer = {_subject(each) for each in now}
    return (*(each for each in earlier if _subject(each) not in newer), *now)


def _subject(notice: Notice) -> tuple[str, str]:
    match notice["code"]:
        case "tool_missing" | "tool_left_out" | "credentials_missing":
            return notice["code"], notice["tool"]
        case "setting_left_out":
            return notice["code"], notice["setting"]
        case "context_left_out":
            return notice["code"], notice["reason"]
        case "budget_low":
            return notice["code"], f"{notice['budget']} {notice['limit']}"
        case "cost_unknown":
            return notice["code"], f"{notice['provider']}:{notice['model']}"
    return notice["code"], ""
