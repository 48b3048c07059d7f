"""What is watched is there: alerts, the dashboard and the autoscalers ask for metrics that `/metrics` has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
# The table of docs/operations.md, which a test holds against a real scrape.
TABLE = re.compile(r"^\| `(ai_agents_\w+)` \| (\w+) \| ([^|]*)\|", re.MULTILINE)
METRICS = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in
           TABLE.findall((ROOT / "docs" / "operations.md").read_text())}  # fmt: skip
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
PANELS: list[dict[str, Any]] = json.loads((DEPLOY / "grafana" / "ai-agents.json").read_text())["panels"]
# Labels of every target, and the one of a histogram's buckets.
OF_ALL = {"instance", "job", "le"}


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in RULES)
    yield from (target["expr"] for panel in PANELS for target in panel["targets"])


def base_of(name: str) -> str:
    return re.sub(r"_(bucket|count|sum)$", "", name) if name not in METRICS else name


def test_alerts_and_panels_ask_for_metrics_and_labels_that_there_are() -> None:
    assert len(METRICS) > 20
    for expression in expressions():
        names = re.findall(r"\bai_agents_\w+", expression)
        assert names or expression.startswith("up{"), expression
        known = set(OF_ALL)
        for name in names:
            kind, labels = METRICS[base_of(name)]
            known |= labels
            # A counter only grows, so it is read as a rate; a histogram by its buckets.
            assert ("rate(" in expression or "increase(" in expression) == (kind in ("counter", "histogram")), (
                expression
            )
            assert name.endswith("_bucket") == (kind == "histogram"), expression
        by = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
        picked = set(re.findall(r"[{,](\w+)=", expression))
        assert by | picked <= known, expression


def test_each_alert_says_what_is_wrong_and_what_to_do() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "ticket")
        for text in ("summary", "action"):
            assert rule["annotations"][text].endswith("."), rule["alert"]
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_autoscalers_ask_for_metrics_that_there_are() -> None:
    scalers = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "autoscaling.yaml").read_text()))
    asked = {
        metric[kind]["metric"]["name"]
        for scaler in scalers
        for metric in scaler["spec"]["metrics"]
        for kind in ("pods", "external")
        if kind in metric
    }

    assert asked == {"ai_agents_streams_open", "ai_agents_jobs_oldest_age_seconds"}
    assert asked <= set(METRICS)


def test_the_adapter_serves_what_the_autoscalers_ask_for_with_labels_of_the_scrape() -> None:
    adapter = yaml.safe_load((DEPLOY / "prometheus" / "adapter.yaml").read_text())
    (scrape,) = yaml.safe_load((DEPLOY / "prometheus" / "scrape.yaml").read_text())["scrape_configs"]
    given = {rule["target_label"] for rule in scrape["relabel_configs"] if "target_label" in rule}
    asked = {
        "rules": {"ai_agents_streams_open": {"namespace", "pod"}},
        "externalRules": {"ai_agents_jobs_oldest_age_seconds": {"namespace"}},
    }
    for kind, metrics in asked.items():
        served = {rule["seriesQuery"].partition("{")[0]: set(rule["resources"]["overrides"]) for rule in adapter[kind]}
        assert served == metrics
        assert all(labels <= given for labels in served.values())
    # Alerts ask for targets of this name.
    assert scrape["job_name"] == "ai-agents"
