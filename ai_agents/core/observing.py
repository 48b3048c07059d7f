"""What the framework tells of its work as it happens, for metrics. Without an observer nothing is told.

Nothing here is called for a token: a model call, a tool call and a run are told once each.
"""

from decimal import Decimal

from ai_agents.core.types import Usage


class Observer:
    """Is told of work. Does nothing itself; a program overrides what it wants to know.

    It is called on the event loop, between two steps of a run: it must be quick, and must not raise.
    """

    def run_ended(self, status: str, seconds: float) -> None:
        """A run of this process has ended with this status, so long after this process began it."""

    def answer_began(self, provider: str, seconds: float) -> None:
        """The first event of a model's answer has come."""

    def model_called(self, provider: str, model: str, outcome: str, usage: Usage, cost: Decimal | None) -> None:
        """A model call has ended. `cost` is in US dollars, None where it is not known."""

    def provider_failed(self, provider: str, code: str) -> None:
        """A request to a provider has failed; it may be tried again."""

    def tool_ended(self, tool: str | None, seconds: float, *, is_error: bool) -> None:
        """A tool call has ended. None: the model named a tool that there is not."""


_observer = Observer()


def observer() -> Observer:
    """Who is told."""
    return _observer


def observe_with(new: Observer) -> None:
    """Tell this observer from now on, in the whole process."""
    global _observer  # noqa: PLW0603  # one for the process, as its log is
    _observer = new
