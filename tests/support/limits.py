"""Limits that hold every user of a test."""

from ai_agents.auth.limits import Limits
from ai_agents.core.limits import NO_LIMITS, OwnLimits


def limits_for_all(given: OwnLimits) -> Limits:
    """These limits, and no others."""
    return Limits({**NO_LIMITS, **given})
