"""What a server does differently from the documents of its type: given by an admin or a preset, or learned."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.types import JsonObject
from ai_agents.core.wording import there_are

# The words that the values of `finish_reasons` are taken from, on every wire format.
FinishWord = Literal["stop", "length", "tool_calls", "content_filter", "error"]
MaxTokensField = Literal["max_tokens", "max_completion_tokens"]
SchemaSupport = Literal["enforced", "instructed"]
_CHOICES: dict[str, tuple[str, ...]] = {
    "max_tokens_field": get_args(MaxTokensField),
    "schema": get_args(SchemaSupport),
}
# More reasons than any server has, and longer words than any server sends.
_MAX_REASONS = 50
_MAX_REASON = 100
# Models of one process for which something was learned.
_MAX_LEARNED = 1000


@dataclass(frozen=True, slots=True)
class Quirks:
    """What a server does differently. None leaves the decision to what is known of the model by its name.

    `finish_reasons` says what reasons mean that the documents do not have. `stream_options`, `cache_control`: the
    server takes these fields. `max_tokens_field` is the name of the limit in chat completions. `sampling`: it takes
    `temperature` and `top_p`; `stop`: stop sequences; `reasoning`: an effort; `tools`, `images`, `documents` (PDF): the
    model takes these. `parallel_calls`: its template takes several tool calls in one message. `keeps_reasoning`: the
    model takes its own reasoning back; where true, it wants some with each call. `schema`: the server enforces output
    schemas, or the model is asked in words. `context_window` is in tokens.
    Of Responses: `reasoning_summary` and `encrypted_reasoning` say that reasoning can be asked for in these forms,
    `store` and `strict` (of a tool) that the server takes these fields.
    """

    finish_reasons: Mapping[str, FinishWord] = field(default_factory=dict)
    stream_options: bool | None = None
    max_tokens_field: MaxTokensField | None = None
    sampling: bool | None = None
    stop: bool | None = None
    reasoning: bool | None = None
    keeps_reasoning: bool | None = None
    reasoning_summary: bool | None = None
    encrypted_reasoning: bool | None = None
    store: bool | None = None
    strict: bool | None = None
    schema: SchemaSupport | None = None
    cache_control: bool | None = None
    tools: bool | None = None
    images: bool | None = None
    documents: bool | None = None
    parallel_calls: bool | None = None
    context_window: int | None = None

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Quirks":
        """The quirks that JSON describes. Raises `InvalidRequest` for an unknown name or a value of another kind."""
        known = {each.name for each in fields(cls)}
        for name, value in given.items():
            if name not in known:
                sentence = f"There is no quirk {name!r}; {there_are(sorted(known))}."
                raise InvalidRequest(sentence, loc=("quirks", name))
            if (fault := _find_fault(name, value)) is not None:
                raise InvalidRequest(f"The quirk {name} is {fault}.", loc=("quirks", name))
        found = {name: value for name, value in given.items() if value is not None}
        if "finish_reasons" in found:
            # Reasons are read without regard to case.
            found["finish_reasons"] = {reason.lower(): word for reason, word in found["finish_reasons"].items()}
        return cls(**found)

    def to_dict(self) -> JsonObject:
        """The quirks that are set, as `from_dict` takes them."""
        return {name: value for name, value in asdict(self).items() if value not in (None, {})}

    def merged(self, other: "Quirks") -> "Quirks":
        """These quirks and the other ones, which win."""
        if other is NO_QUIRKS or other == NO_QUIRKS:
            return self
        if self is NO_QUIRKS:
            return other
        reasons = {**self.finish_reasons, **other.finish_reasons}
        values = {each.name: getattr(other, each.name) for each in fields(self)}
        given = {name: value for name, value in values.items() if value is not None}
        return replace(self, **given | {"finish_reasons": reasons})


NO_QUIRKS = Quirks()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server that a wire format speaks with: the provider's name, and what the server does differently."""

    provider: str
    quirks: Quirks = NO_QUIRKS


class LearnedQuirks:
    """What a provider's refusals taught, by model. `on_learn` is told of the provider, the model and all its quirks."""

    def __init__(self, provider: str) -> None:
        self.on_learn: Callable[[str, str, Quirks], None] | None = None
        self._provider = provider
        self._learned: dict[str, Quirks] = {}

    def get(self, model: str) -> Quirks:
        """What was learned about this model."""
        return self._learned.get(model, NO_QUIRKS)

    def all(self) -> dict[str, Quirks]:
        """What was learned, by model."""
        return dict(self._learned)

    def put(self, model: str, quirks: Quirks) -> None:
        """Take what another process learned."""
        if len(self._learned) >= _MAX_LEARNED and model not in self._learned:
            del self._learned[next(iter(self._learned))]
        self._learned[model] = self.get(model).merged(quirks)

    def learn(self, model: str, quirks: Quirks) -> None:
        """Remember what a refusal taught, and tell of it."""
        self.put(model, quirks)
        if self.on_learn is not None:
            self.on_learn(self._provider, model, self.get(model))


def _find_fault(name: str, value: Any) -> str | None:
    """What a value of this quirk has to be, where it is not; None for a good value."""
    if value is None:
        return None
    if name == "finish_reasons":
        words = get_args(FinishWord)
        good = (
            isinstance(value, Mapping)
            and len(value) <= _MAX_REASONS
            and all(isinstance(reason, str) and 0 < len(reason) <= _MAX_REASON for reason in value)
            and all(word in words for word in value.values() if isinstance(word, str))
            and all(isinstance(word, str) for word in value.values())
        )
        return None if good else f"an object of reasons, each with one of {', '.join(words)}"
    if name in _CHOICES:
        return None if value in _CHOICES[name] else f"one of {', '.join(_CHOICES[name])}"
    if name == "context_window":
        return None if type(value) is int and 1 <= value <= 100_000_000 else "a number of tokens"
    return None if isinstance(value, bool) else "true or false"
