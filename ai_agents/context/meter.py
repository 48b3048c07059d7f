"""What the model calls of a turn use and cost: as the provider reports it, else as estimated here."""

from collections.abc import Sequence
from typing import Any

from ai_agents.context.catalogue import ModelCatalogue
from ai_agents.context.tokens import ModelTokens, TokenEstimator
from ai_agents.core.exceptions import AIAgentsError, InvalidOutput, ProviderError, ProviderTimeout, ProviderTruncated
from ai_agents.core.tokens import estimate_part
from ai_agents.core.types import ModelResponse, ReasoningPart, TextPart, ToolResultPart, Usage
from ai_agents.store.model_calls import CallRecord, CallStatus

# More than any model takes or gives in one call.
_MOST_TOKENS = 100_000_000
# The provider accepted these requests and may bill for them; a refused request costs nothing.
_ACCEPTED = (ProviderTimeout, ProviderTruncated, InvalidOutput)


class Meter:
    """Counts one turn's calls of one model. `input_tokens` is the estimate for its first request.

    `estimator` learns from the first usage that the provider reports, where `uncalibrated_tokens` was the estimate;
    later requests hold more than was estimated.
    """

    def __init__(
        self,
        provider: str,
        model: str,
        catalogue: ModelCatalogue,
        tokens: ModelTokens,
        *,
        input_tokens: int,
        estimator: TokenEstimator | None = None,
        uncalibrated_tokens: int = 0,
    ) -> None:
        self._provider = provider
        self._model = model
        self._catalogue = catalogue
        self._tokens = tokens
        self._input_tokens = input_tokens
        self._estimator = estimator
        self._uncalibrated_tokens = uncalibrated_tokens

    def completed(self, response: ModelResponse) -> CallRecord:
        """A call that was answered."""
        usage = _checked(response.usage)
        if self._estimator is not None and not usage.estimated:
            self._estimator.observe(self._provider, self._model, self._uncalibrated_tokens, usage.input_tokens)
            self._estimator = None
        if usage.input_tokens is not None:
            self._input_tokens = usage.input_tokens
        said = sum(map(estimate_part, response.parts)) if usage.output_tokens is None else usage.output_tokens
        self._input_tokens += said
        return self._call(usage, "completed", response.model)

    def tool_result(self, result: ToolResultPart) -> None:
        """Count a tool's result, which is part of the next request."""
        self._input_tokens += self._tokens.calibrated(estimate_part(result))

    def aborted(
        self, outcome: CallStatus, shown: Sequence[TextPart | ReasoningPart], error: AIAgentsError | None = None
    ) -> CallRecord:
        """A call that ended before its answer was whole. `shown` is the part that came."""
        refused = isinstance(error, ProviderError) and not isinstance(error, _ACCEPTED) and not shown
        reported = _checked(error.usage if isinstance(error, ProviderError) and error.usage is not None else Usage())
        if isinstance(error, InvalidOutput) and reported != Usage():
            return self._call(reported, outcome)  # the answer was whole, and void
        if refused and reported == Usage():
            return self._call(Usage(input_tokens=0, output_tokens=0), outcome)
        counted = self._tokens.calibrated(sum(map(estimate_part, shown)))
        usage = Usage(
            input_tokens=self._input_tokens if reported.input_tokens is None else reported.input_tokens,
            # A report from before the end misses what came after it.
            output_tokens=max(counted, reported.output_tokens or 0),
            cached_input_tokens=reported.cached_input_tokens,
            cache_write_tokens=reported.cache_write_tokens,
            estimated=True,
        )
        return self._call(usage, outcome)

    def lost(self) -> CallRecord:
        """The call that was under way when the run's former process died: only its request is known."""
        return self._call(Usage(input_tokens=self._input_tokens, estimated=True), "lost")

    def _call(self, usage: Usage, outcome: CallStatus, answered_by: str | None = None) -> CallRecord:
        names = [self._model, answered_by] if isinstance(answered_by, str) and answered_by else [self._model]
        return CallRecord(
            self._provider, self._model, usage, self._catalogue.cost(self._provider, names, usage), outcome
        )


def _checked(usage: Usage) -> Usage:
    """The usage without impossible figures: servers may report anything."""
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
