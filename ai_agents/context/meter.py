"""What the model calls of a turn use and cost: as the provider says, else as it is counted here."""

from collections.abc import Callable, Sequence
from typing import Any

from ai_agents.context.catalogue import ModelCatalogue
from ai_agents.context.tokens import ModelTokens
from ai_agents.core.exceptions import AIAgentsError, InvalidOutput, ProviderError, ProviderTimeout, ProviderTruncated
from ai_agents.core.tokens import estimate_part
from ai_agents.core.types import ModelResponse, ReasoningPart, TextPart, ToolResultPart, Usage
from ai_agents.store.model_calls import CallRecord, CallStatus

# More than any model takes or gives in one call.
_MOST_TOKENS = 100_000_000
# The provider took these in and may have worked on them; what it refuses at the door is nobody's bill.
_TAKEN_IN = (ProviderTimeout, ProviderTruncated, InvalidOutput)


class Meter:
    """Counts one turn's calls of one model. `input_tokens` is what its first request is estimated to have.

    `observe` is told of the first usage that the provider reports: later requests hold more than was estimated.
    """

    def __init__(
        self,
        provider: str,
        model: str,
        *,
        models: ModelCatalogue,
        tokens: ModelTokens,
        input_tokens: int,
        observe: Callable[[Usage], None],
    ) -> None:
        self._provider = provider
        self._model = model
        self._models = models
        self._tokens = tokens
        self._input_tokens = input_tokens
        self._observe: Callable[[Usage], None] | None = observe

    def completed(self, response: ModelResponse) -> CallRecord:
        """A call that was answered."""
        usage = _checked(response.usage)
        if self._observe is not None and not usage.estimated:
            self._observe(usage)
            self._observe = None
        if usage.input_tokens is not None:
            self._input_tokens = usage.input_tokens
        said = sum(map(estimate_part, response.parts)) if usage.output_tokens is None else usage.output_tokens
        self._input_tokens += said
        return self._call(usage, "completed", response.model)

    def tool_result(self, result: ToolResultPart) -> None:
        """The next request holds this, too."""
        self._input_tokens += self._tokens.calibrated(estimate_part(result))

    def aborted(
        self, outcome: CallStatus, shown: Sequence[TextPart | ReasoningPart], error: AIAgentsError | None = None
    ) -> CallRecord:
        """A call that ended before its answer did. `shown` is what came of it; providers rarely say what it cost."""
        refused = isinstance(error, ProviderError) and not isinstance(error, _TAKEN_IN) and not shown
        reported = _checked(error.usage if isinstance(error, ProviderError) and error.usage is not None else Usage())
        if isinstance(error, InvalidOutput) and reported != Usage():
            return self._call(reported, outcome)  # it was answered whole
        if isinstance(error, InvalidOutput) and None not in {reported.input_tokens, reported.output_tokens}:
            return self._call(reported, outcome)  # it was answered to the end, and the answer is void
        if refused and reported == Usage():
            return self._call(Usage(input_tokens=0, output_tokens=0), outcome)
        counted = self._tokens.calibrated(sum(map(estimate_part, shown)))
        usage = Usage(
            input_tokens=self._input_tokens if reported.input_tokens is None else reported.input_tokens,
            # What is reported before the end is of the beginning.
            output_tokens=max(counted, reported.output_tokens or 0),
            cached_input_tokens=reported.cached_input_tokens,
            cache_write_tokens=reported.cache_write_tokens,
            estimated=True,
        )
        return self._call(usage, outcome)

    def lost(self) -> CallRecord:
        """The call that was under way when the run's former process died: what it was asked is known, no more."""
        return self._call(Usage(input_tokens=self._input_tokens, estimated=True), "lost")

    def _call(self, usage: Usage, outcome: CallStatus, answered_by: str | None = None) -> CallRecord:
        names = [self._model, answered_by] if isinstance(answered_by, str) and answered_by else [self._model]
        return CallRecord(self._provider, self._model, usage, self._models.cost(self._provider, names, usage), outcome)


def _checked(usage: Usage) -> Usage:
    """The usage without figures that are none: servers are free to say anything."""
    return Usage(
        _count(usage.input_tokens),
        _count(usage.output_tokens),
        _count(usage.cached_input_tokens),
        _count(usage.reasoning_tokens),
        estimated=usage.estimated,
        cache_write_tokens=_count(usage.cache_write_tokens),
    )


def _count(tokens: Any) -> int | None:
    return tokens if type(tokens) is int and 0 <= tokens <= _MOST_TOKENS else None
