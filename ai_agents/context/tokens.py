"""How many tokens a request costs a model, and what the model calls of a turn use and cost.

Tokens are estimated from bytes, corrected by what the model's provider reports. The corrections (ratios) are kept in
memory; the database keeps them for the next process.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil, log

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from ai_agents.context.budgets import MOST_OUTPUT_TOKENS, BudgetAccount
from ai_agents.context.catalogue import ModelCatalogue
from ai_agents.core.exceptions import AIAgentsError, InvalidOutput, ProviderError, ProviderTimeout, ProviderTruncated
from ai_agents.core.ids import utc_now
from ai_agents.core.observing import observer
from ai_agents.core.tokens import estimate_message, estimate_part, estimate_text
from ai_agents.core.types import (
    CountingMethod,
    ModelMessage,
    ModelResponse,
    ReasoningPart,
    TextPart,
    ToolResultPart,
    Usage,
)
from ai_agents.store.budgets import Amount
from ai_agents.store.database import Database
from ai_agents.store.model_calls import CallRecord, CallStatus, to_pico
from ai_agents.store.provider_tables import TokenRatioTable

# A tenth of a window stays free, since half of all texts have more tokens than estimated.
SAFETY_MARGIN = 1.1
# A new report weighs a fifth; the first reports weigh more, so that the initial guess soon stops to matter.
_WEIGHT = 0.2
_MAX_FIRST_WEIGHT = 0.5
# No tokenizer is further off than this. A report outside these limits has another cause (a cached prompt, a file).
_LEAST, _MOST = 0.4, 2.5
# In smaller requests the provider's own additions outweigh the text.
_MIN_ESTIMATE = 200
_MIN_CHANGE = 0.03
# Ratios of many models lie near 1, so no step is there.
_STEADY_RATIO, _STEADY_STEP = 1.05, 1.25
_MAX_MODELS = 1_000
_MAX_PROVIDER, _MAX_MODEL = 64, 200
# More than any model takes or gives in one call.
_MOST_TOKENS = 100_000_000
# The provider accepted these requests and may bill for them; a refused request costs nothing.
_ACCEPTED = (ProviderTimeout, ProviderTruncated, InvalidOutput)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Counts tokens as one model is expected to count them.

    `ratio` is how many tokens the model reports per estimated token: a moving average of `samples` reports.
    """

    provider: str
    model: str
    ratio: float = 1.0
    samples: int = 0

    @property
    def method(self) -> CountingMethod:
        """How the counts are made, in a word."""
        return "calibrated estimate" if self.samples else "estimate"

    def text(self, text: str) -> int:
        """Tokens of a text."""
        return self.calibrated(estimate_text(text))

    def message(self, message: ModelMessage) -> int:
        """Tokens of a message."""
        return self.calibrated(estimate_message(message))

    def steadied(self) -> "Calibration":
        """This calibration with a ratio that is up to a quarter higher, and that hardly ever changes.

        Each report changes the ratio a little. What is chosen by tokens, such as the edge of a window, must not change
        with it.
        """
        if not self.samples:
            return self
        steps = ceil(log(self.ratio / _STEADY_RATIO, _STEADY_STEP))
        return replace(self, ratio=_STEADY_RATIO * _STEADY_STEP**steps)

    def calibrated(self, estimated: int) -> int:
        """The expected tokens for this many estimated ones."""
        return ceil(estimated * self.ratio)


class TokenEstimator:
    """What is known of every model's tokens. It belongs to one event loop."""

    def __init__(self, calibrations: Iterable[Calibration] = ()) -> None:
        self._known: dict[tuple[str, str], Calibration] = {}
        self._saved: dict[tuple[str, str], Calibration] = {}
        self._is_loaded = False
        self._know(calibrations)

    def _know(self, calibrations: Iterable[Calibration]) -> None:
        self._known = {(known.provider, known.model): known for known in calibrations}
        self._saved = dict(self._known)

    async def synchronize(self, database: Database) -> None:
        """Load what earlier processes learned, once; save what this process learned since."""
        if not self._is_loaded:
            self._is_loaded = True
            self._know(await database.read(load_ratios, long=True))
        if unsaved := self.take_unsaved():
            await database.write(lambda c: save_ratios(c, unsaved))

    def for_model(self, provider: str, model: str) -> Calibration:
        """The counter for this model, with its ratio as it is now."""
        return self._known.get((provider, model)) or Calibration(provider, model)

    def observe(self, provider: str, model: str, estimated: int, reported: int | None) -> None:
        """Learn from one call: `estimated` is from before calibration, `reported` includes cached tokens.

        Missing reports, reports of small requests and models with overlong names are ignored.
        """
        if not reported or estimated < _MIN_ESTIMATE or len(provider) > _MAX_PROVIDER or len(model) > _MAX_MODEL:
            return
        key = provider, model
        known = self.for_model(provider, model)
        sample = min(max(reported / estimated, _LEAST), _MOST)
        weight = max(_WEIGHT, min(_MAX_FIRST_WEIGHT, 1 / (known.samples + 1)))
        ratio = known.ratio + weight * (sample - known.ratio)
        self._known.pop(key, None)  # so that the newest comes last
        self._known[key] = replace(known, ratio=ratio, samples=known.samples + 1)
        if len(self._known) > _MAX_MODELS:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._saved.pop(oldest, None)

    def take_unsaved(self) -> list[Calibration]:
        """The ratios that changed enough to be saved since the last call; nearly always none."""
        changed = [known for key, known in self._known.items() if self._moved(key, known)]
        self._saved.update({(known.provider, known.model): known for known in changed})
        return changed

    def _moved(self, key: tuple[str, str], known: Calibration) -> bool:
        saved = self._saved.get(key)
        return saved is None or abs(known.ratio - saved.ratio) > _MIN_CHANGE * saved.ratio


def load_ratios(connection: Connection) -> list[Calibration]:
    """The saved ratios, newest last, of as many models as an estimator keeps."""
    columns = (TokenRatioTable.provider, TokenRatioTable.model, TokenRatioTable.ratio, TokenRatioTable.samples)
    statement = select(*columns).order_by(TokenRatioTable.updated_at.desc()).limit(_MAX_MODELS)
    return [Calibration(*row) for row in connection.execute(statement)][::-1]


def save_ratios(connection: Connection, calibrations: Sequence[Calibration]) -> None:
    """Save ratios; of several processes the last one wins."""
    if not calibrations:
        return
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(TokenRatioTable)
    statement = statement.on_conflict_do_update(
        index_elements=[TokenRatioTable.provider, TokenRatioTable.model],
        set_={name: statement.excluded[name] for name in ("ratio", "samples", "updated_at")},
    )
    now = utc_now()
    # Every process writes in this order, so that two of them cannot deadlock.
    rows = sorted(calibrations, key=lambda known: (known.provider, known.model))
    connection.execute(statement, [{**asdict(known), "updated_at": now} for known in rows])


@dataclass(slots=True)
class Meter:
    """Counts one turn's calls of one model. `input_tokens` is the estimate for its next request.

    `estimator` learns from the first usage that the provider reports, where `uncalibrated_tokens` was the estimate;
    later requests hold more than was estimated. `account` is what pays for the calls, None where there is no budget.
    """

    tokens: Calibration
    catalogue: ModelCatalogue
    input_tokens: int
    estimator: TokenEstimator | None = None
    uncalibrated_tokens: int = 0
    account: BudgetAccount | None = None

    async def claim(self, max_tokens: int | None) -> None:
        """Claim what the next call may use, where a budget pays for it. Raises `BudgetExceeded`."""
        if self.account is None:
            return
        provider, model = self.tokens.provider, self.tokens.model
        output_tokens = min(max_tokens or MOST_OUTPUT_TOKENS, MOST_OUTPUT_TOKENS)
        most = Usage(input_tokens=self.input_tokens, output_tokens=output_tokens)
        cost = self.catalogue.cost(provider, [model], most)
        await self.account.claim(Amount(self.input_tokens + output_tokens, to_pico(cost) or 0))
        if cost is None:
            self.account.note_unknown_cost(provider, model)

    def completed(self, response: ModelResponse) -> CallRecord:
        """A call that was answered."""
        usage = _checked(response.usage)
        if self.estimator is not None and not usage.estimated:
            self.estimator.observe(
                self.tokens.provider, self.tokens.model, self.uncalibrated_tokens, usage.input_tokens
            )
            self.estimator = None
        if usage.input_tokens is not None:
            self.input_tokens = usage.input_tokens
        said = sum(map(estimate_part, response.parts)) if usage.output_tokens is None else usage.output_tokens
        self.input_tokens += said
        return self._call(usage, "completed", response.model)

    def tool_result(self, result: ToolResultPart) -> None:
        """Count a tool's result, which is part of the next request."""
        self.input_tokens += self.tokens.calibrated(estimate_part(result))

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
        counted = self.tokens.calibrated(sum(map(estimate_part, shown)))
        usage = Usage(
            input_tokens=self.input_tokens if reported.input_tokens is None else reported.input_tokens,
            # A report from before the end misses what came after it.
            output_tokens=max(counted, reported.output_tokens or 0),
            cached_input_tokens=reported.cached_input_tokens,
            cache_write_tokens=reported.cache_write_tokens,
            estimated=True,
        )
        return self._call(usage, outcome)

    def lost(self) -> CallRecord:
        """The call that was under way when the run's former process died: only its request is known."""
        return self._call(Usage(input_tokens=self.input_tokens, estimated=True), "lost")

    def _call(self, usage: Usage, outcome: CallStatus, answered_by: str | None = None) -> CallRecord:
        provider, model = self.tokens.provider, self.tokens.model
        names = [model, answered_by] if isinstance(answered_by, str) and answered_by else [model]
        charge = None if self.account is None else self.account.charge
        cost = self.catalogue.cost(provider, names, usage)
        observer().model_called(provider, model, outcome, usage, cost)
        return CallRecord(provider, model, usage, cost, outcome, charge=charge)


def _checked(usage: Usage) -> Usage:
    """The usage without impossible figures: servers may report anything."""
    counts = {name: value for name, value in usage.fields().items() if name != "estimated"}
    return Usage(
        estimated=usage.estimated,
        **{name: value for name, value in counts.items() if type(value) is int and 0 <= value <= _MOST_TOKENS},
    )
