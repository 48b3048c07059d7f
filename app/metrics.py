"""The metrics of this process, in the text format of Prometheus. Each process has its own, and is asked by itself.

Labels are bounded: routes are templates, and of models and tools, whose names users choose, the first ones have a
name and the others are `other`.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric

from ai_agents.core.observing import Observer
from ai_agents.core.types import Usage

PREFIX = "ai_agents_"
# Models and tools that have a name of their own in labels.
_MOST_NAMED = 100
OTHER = "other"
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_ANSWERED_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_BEGAN_S = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
_RUN_S = (0.1, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600, 3600)
_TOOL_S = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

_LAG_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)

# When a series began is told by Prometheus itself.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the package's gap
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)


def _counter(name: str, text: str, labels: Iterable[str]) -> Counter:
    return Counter(PREFIX + name, text, tuple(labels), registry=REGISTRY)


def _histogram(name: str, text: str, labels: Iterable[str], buckets: Iterable[float]) -> Histogram:
    return Histogram(PREFIX + name, text, tuple(labels), registry=REGISTRY, buckets=tuple(buckets))


_REQUESTS = _counter("requests", "Requests by method, route and status.", ("method", "route", "status"))
_ANSWERED = _histogram(
    "request_seconds", "Seconds until an answer began, by method and route.", ("method", "route"), _ANSWERED_S
)
_RUNS = _counter("runs", "Runs that this process has ended, by status.", ("status",))
_RUN_SECONDS = _histogram("run_seconds", "Seconds of runs, from their begin in this process.", ("status",), _RUN_S)
_BEGAN = _histogram(
    "first_token_seconds", "Seconds until the first event of a model's answer, by provider.", ("provider",), _BEGAN_S
)
_CALLS = _counter("model_calls", "Model calls, by how they ended.", ("provider", "model", "outcome"))
_TOKENS = _counter("tokens", "Tokens of model calls. Cached ones are part of the input.", ("provider", "model", "kind"))
_COST = _counter("cost_usd", "What model calls cost in US dollars, where it is known.", ("provider", "model"))
_FAILURES = _counter(
    "provider_errors", "Requests to providers that failed, also those tried again.", ("provider", "code")
)
_TOOLS = _histogram("tool_seconds", "Seconds of tool calls, by tool and result.", ("tool", "result"), _TOOL_S)


EVENT_LOOP_LAG = _histogram("event_loop_lag_seconds", "How late the event loop was, ten times a second.", (), _LAG_S)


class _Names:
    """The first names get through; a name that comes later is `other`."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def bounded(self, name: str, *, is_real: bool = True) -> str:
        """The name, or `other`. One that may be made up takes no place."""
        if name in self._known:
            return name
        if not is_real or len(self._known) >= _MOST_NAMED:
            return OTHER
        self._known.add(name)
        return name


class MetricsObserver(Observer):
    """Counts what the framework tells of."""

    def __init__(self) -> None:
        self._providers, self._models, self._tools = _Names(), _Names(), _Names()

    def run_ended(self, status: str, seconds: float) -> None:
        """Count a run."""
        _RUNS.labels(status).inc()
        _RUN_SECONDS.labels(status).observe(seconds)

    def answer_began(self, provider: str, seconds: float) -> None:
        """Note how long a model took to begin."""
        _BEGAN.labels(self._providers.bounded(provider)).observe(seconds)

    def model_called(self, provider: str, model: str, outcome: str, usage: Usage, cost: Decimal | None) -> None:
        """Count a model call, its tokens and its cost."""
        # A model's name alone may be another provider's too, so that the pair is what is counted.
        # Users choose it: one that has answered is a model's.
        named = self._models.bounded(f"{provider}:{model}", is_real=outcome == "completed")
        labels = (self._providers.bounded(provider), OTHER if named == OTHER else model)
        _CALLS.labels(*labels, outcome).inc()
        kinds = {"input": usage.input_tokens, "output": usage.output_tokens, "cached_input": usage.cached_input_tokens}
        for kind, tokens in kinds.items():
            if tokens:
                _TOKENS.labels(*labels, kind).inc(tokens)
        if cost:
            _COST.labels(*labels).inc(float(cost))

    def provider_failed(self, provider: str, code: str) -> None:
        """Count a failure."""
        _FAILURES.labels(self._providers.bounded(provider), code).inc()

    def tool_ended(self, tool: str | None, seconds: float, *, is_error: bool) -> None:
        """Note how long a tool took."""
        name = "unknown" if tool is None else self._tools.bounded(tool)
        _TOOLS.labels(name, "error" if is_error else "ok").observe(seconds)


OBSERVER = MetricsObserver()


def count_request(scope: Mapping[str, Any], status: int, answered_s: float) -> None:
    """Count a request. `answered_s` is when its answer began; a stream may go on for hours."""
    method = scope["method"] if scope["method"] in _METHODS else OTHER
    route = getattr(scope.get("route"), "path", "none")
    _REQUESTS.labels(method, route, status).inc()
    _ANSWERED.labels(method, route).observe(answered_s)


class _Collected(Protocol):
    def collect(self) -> Iterable[Metric]: ...


class _Now:
    """What is looked up when it is asked for."""

    def __init__(self, gauges: list[GaugeMetricFamily]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        return self._gauges


def gauge(name: str, text: str, value: float | Mapping[str, float], *, label: str = "status") -> GaugeMetricFamily:
    """A figure as it is now, or one for each value of a label."""
    if not isinstance(value, Mapping):
        return GaugeMetricFamily(PREFIX + name, text, value=value)
    family = GaugeMetricFamily(PREFIX + name, text, labels=[label])
    for of_label, figure in value.items():
        family.add_metric([of_label], figure)
    return family


def render(gauges: list[GaugeMetricFamily]) -> bytes:
    """These figures, and all that was counted since the start of the process."""
    return generate_latest(_Now(gauges)) + generate_latest(REGISTRY)
