"""How many tokens a request costs a model: the estimate from bytes, corrected by what the model's provider reports.

Nothing here waits for anything: ratios are kept in memory, and the functions for a connection save them now and then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from ai_agents.core.ids import utc_now
from ai_agents.core.tokens import estimate_message, estimate_text, estimate_tool
from ai_agents.core.types import ModelMessage, ToolDefinition
from ai_agents.store.models import TokenRatioTable

# What is left free when a window is filled: a tenth, since half of all texts have more tokens than was estimated.
SAFETY_MARGIN = 1.1
# A newer report weighs a fifth; the first ones weigh more, so that the first guess is soon forgotten.
_WEIGHT = 0.2
_MAX_FIRST_WEIGHT = 0.5
# No tokenizer is further off than this; a report that is has another cause (a cached prompt, an attached file).
_LEAST, _MOST = 0.4, 2.5
# Below this the provider's own additions outweigh the text.
_MIN_ESTIMATE = 200
_MIN_CHANGE = 0.03
_MAX_MODELS = 1_000
_MAX_PROVIDER, _MAX_MODEL = 64, 200


@dataclass(frozen=True, slots=True)
class Calibration:
    """How many tokens a model reports for each one that is estimated: a moving average of `samples` reports."""

    provider: str
    model: str
    ratio: float = 1.0
    samples: int = 0


@dataclass(frozen=True, slots=True)
class ModelTokens:
    """Counts as one model is expected to."""

    calibration: Calibration

    @property
    def ratio(self) -> float:
        """What an estimate is multiplied with."""
        return self.calibration.ratio

    @property
    def method(self) -> str:
        """How the counts come about, in a word."""
        return "calibrated estimate" if self.calibration.samples else "estimate"

    def text(self, text: str) -> int:
        """Tokens of a text."""
        return self.calibrated(estimate_text(text))

    def message(self, message: ModelMessage) -> int:
        """Tokens of a message."""
        return self.calibrated(estimate_message(message))

    def tool(self, tool: ToolDefinition) -> int:
        """Tokens of a tool's definition."""
        return self.calibrated(estimate_tool(tool))

    def calibrated(self, estimated: int) -> int:
        """Tokens for so many estimated ones."""
        return ceil(estimated * self.ratio)


class TokenEstimator:
    """What is known of every model's tokens. One for the process; it is used by one event loop."""

    def __init__(self, calibrations: Iterable[Calibration] = ()) -> None:
        self._known = {(known.provider, known.model): known for known in calibrations}
        self._saved = dict(self._known)

    def for_model(self, provider: str, model: str) -> ModelTokens:
        """Counts for this model as it is known now."""
        return ModelTokens(self._known.get((provider, model)) or Calibration(provider, model))

    def observe(self, provider: str, model: str, estimated: int, reported: int | None) -> None:
        """Learn from one call: `estimated` as it was before calibration, `reported` with cached tokens.

        Reports that tell nothing are passed over: none, of a small request, or of a model with an overlong name.
        """
        if not reported or estimated < _MIN_ESTIMATE or len(provider) > _MAX_PROVIDER or len(model) > _MAX_MODEL:
            return
        key = provider, model
        known = self._known.get(key) or Calibration(provider, model)
        sample = min(max(reported / estimated, _LEAST), _MOST)
        weight = max(_WEIGHT, min(_MAX_FIRST_WEIGHT, 1 / (known.samples + 1)))
        ratio = known.ratio + weight * (sample - known.ratio)
        self._known.pop(key, None)  # so that the one that was heard of last comes last
        self._known[key] = replace(known, ratio=ratio, samples=known.samples + 1)
        if len(self._known) > _MAX_MODELS:
            longest_ago = next(iter(self._known))
            del self._known[longest_ago]
            self._saved.pop(longest_ago, None)

    def take_unsaved(self) -> list[Calibration]:
        """What has changed enough to be saved since it was last taken; empty nearly always, so ask after each run."""
        changed = [known for key, known in self._known.items() if self._moved(key, known)]
        self._saved.update({(known.provider, known.model): known for known in changed})
        return changed

    def _moved(self, key: tuple[str, str], known: Calibration) -> bool:
        saved = self._saved.get(key)
        return saved is None or abs(known.ratio - saved.ratio) > _MIN_CHANGE * saved.ratio


def load_ratios(connection: Connection) -> list[Calibration]:
    """What was saved last, the newest last, for as many models as an estimator keeps."""
    columns = (TokenRatioTable.provider, TokenRatioTable.model, TokenRatioTable.ratio, TokenRatioTable.samples)
    statement = select(*columns).order_by(TokenRatioTable.updated_at.desc()).limit(_MAX_MODELS)
    return [Calibration(*row) for row in connection.execute(statement)][::-1]


def save_ratios(connection: Connection, calibrations: Sequence[Calibration]) -> None:
    """Save what `take_unsaved` gave; of several processes the last one's word stands."""
    if not calibrations:
        return
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(TokenRatioTable)
    statement = statement.on_conflict_do_update(
        index_elements=[TokenRatioTable.provider, TokenRatioTable.model],
        set_={name: statement.excluded[name] for name in ("ratio", "samples", "updated_at")},
    )
    now = utc_now()
    # One order for all, so that two processes that save the same models do not wait for each other in a circle.
    rows = sorted(calibrations, key=lambda known: (known.provider, known.model))
    connection.execute(
        statement,
        [
            {
                "provider": known.provider,
                "model": known.model,
                "ratio": known.ratio,
                "samples": known.samples,
                "updated_at": now,
            }
            for known in rows
        ],
    )
