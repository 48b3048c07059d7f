"""What one run may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What one run may take: rounds with tools, seconds, bytes of a tool's result, repetitions of one call.

    `run_time_s` is how long a run may make no progress (text, reasoning, a call, a result); it may take longer.
    `approval_s` is how long a call waits for an approval where its agent does not say it, and for a client's result.
    """

    tool_rounds: int = 10
    tool_time_s: float = 30.0
    tool_result_bytes: int = 64 * 1024
    identical_calls: int = 3
    run_time_s: float = 600.0
    approval_s: float = 86_400.0
