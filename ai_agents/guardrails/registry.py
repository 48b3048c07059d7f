"""Guardrails by the names of their types, from the `guardrails` of an agent."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Literal, get_args

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.guardrails.base import (
    Action,
    AnyGuardrail,
    ConfiguredGuardrail,
    LengthGuardrail,
    PatternGuardrail,
    Stage,
)
from ai_agents.guardrails.judge import JudgeGuardrail
from ai_agents.guardrails.matching import Rule, Scanner, all_of
from ai_agents.guardrails.patterns import compiled, one_of, parse
from ai_agents.guardrails.pii import Pii
from ai_agents.guardrails.secrets import Secrets

GuardrailFactory = Callable[..., AnyGuardrail]
_MOST_PATTERNS = 500


class Blocklist(PatternGuardrail):
    """Finds any of its patterns: of those that begin at one place the longest."""

    def __init__(self, patterns: Sequence[str]) -> None:
        super().__init__(patterns)
        if not self.patterns or len(self.patterns) > _MOST_PATTERNS:
            raise InvalidRequest(f"A blocklist has 1 to {_MOST_PATTERNS} patterns.", loc=("patterns",))

    def rules(self) -> Sequence[Rule]:
        """All patterns as one."""
        nodes = []
        for number, pattern in enumerate(self.patterns):
            try:
                nodes.append(parse(pattern))
            except InvalidRequest as error:
                raise InvalidRequest(str(error), loc=("patterns", number)) from error
        return [Rule(one_of(nodes))]


_factories: dict[str, GuardrailFactory] = {
    "blocklist": Blocklist,
    "pii": Pii,
    "secrets": Secrets,
    "max_length": LengthGuardrail,
    "judge": JudgeGuardrail,
}
BUILT_IN_GUARDRAILS = frozenset(_factories)


def register_guardrail(name: str, factory: GuardrailFactory) -> None:
    """Make `factory(**options)` known as the type `name`. The options are what an agent's entry holds besides `type`,
    `stage` and `action`; it gives a `Guardrail` or a `PatternGuardrail`, or raises `InvalidRequest`.

    Raises `InvalidRequest` for a name that one of the built-in types has.
    """
    if not name or name in BUILT_IN_GUARDRAILS:
        raise InvalidRequest(f"The name {name!r} cannot be given to a guardrail.", loc=("guardrails", "type"))
    _factories[name] = factory
    _built.cache_clear()


def list_guardrails() -> list[str]:
    """The types that there are, in order."""
    return sorted(_factories)


def guards_key(configs: Sequence[Mapping[str, Any]], stage: Literal["input", "output"]) -> str | None:
    """What tells an agent's guardrails at a stage from others; None where there are none."""
    placed = [config for config in configs if config.get("stage", "both") in {stage, "both"}]
    return blake2b(json.dumps_sorted(placed).encode(), digest_size=8).hexdigest() if placed else None


def build_guardrails(configs: Sequence[Mapping[str, Any]]) -> tuple[ConfiguredGuardrail, ...]:
    """What an agent's `guardrails` describe. Raises `InvalidRequest` for what cannot be built, with its place.

    The first time takes as long as the patterns take to compile: up to a second for the largest.
    """
    return _built(json.dumps_sorted(list(configs))) if configs else ()


@lru_cache(512)
def _built(configs: str) -> tuple[ConfiguredGuardrail, ...]:
    placed = []
    for number, config in enumerate(json.loads(configs)):
        try:
            placed.append(_place(config))
        except InvalidRequest as error:
            raise InvalidRequest(str(error), loc=("guardrails", number, *error.loc)) from error
    for stage in ("input", "output"):
        # Compiled now, and not when the first text is waited for.
        all_of([Scanner(rule) for each in placed if each.stage in {stage, "both"} for rule in each.rules])
    return tuple(placed)


def _place(config: Mapping[str, Any]) -> ConfiguredGuardrail:
    name = config.get("type")
    factory = _factories.get(name) if isinstance(name, str) else None
    if factory is None or not isinstance(name, str):
        raise InvalidRequest(
            f"There is no guardrail of this type; there are {', '.join(list_guardrails())}.", loc=("type",)
        )
    stage, action = config.get("stage", "both"), config.get("action", "block")
    if stage not in get_args(Stage) or action not in get_args(Action):
        raise InvalidRequest("A guardrail's stage is input, output or both, its action block or redact.")
    options = {key: value for key, value in config.items() if key not in {"type", "stage", "action"}}
    try:
        inspect.signature(factory).bind(**options)
        guardrail = factory(**options)
    except TypeError as error:
        raise InvalidRequest(f"The guardrail {name} cannot be made: {error}.") from error
    rules = tuple(guardrail.rules()) if isinstance(guardrail, PatternGuardrail) else ()
    for rule in rules:
        compiled(rule.node)  # what is wrong with a pattern is found now
    return ConfiguredGuardrail(name, stage, action, guardrail, rules)
