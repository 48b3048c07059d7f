"""`GET /metrics`: what is counted, read by Prometheus's own parser, and told in a table of the docs."""

import re
from pathlib import Path

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from ai_agents.core.types import Usage
from ai_agents.testing import ScriptedProvider, tool_call
from app import metrics
from app.metrics import OTHER, REGISTRY, MetricsObserver
from app.processes.siblings import merge
from tests.api.service import Service, make_agent, make_thread

OPERATIONS = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
_ROW = re.compile(r"^\| `(ai_agents_\w+)` \| (counter|gauge|histogram) \|([^|]*)\|", re.MULTILINE)


async def scrape(admin: httpx.AsyncClient) -> dict[str, Metric]:
    answer = await admin.get("/metrics")
    assert answer.status_code == 200
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def value(families: dict[str, Metric], name: str, **labels: str) -> float:
    """The value of a sample; 0 where it was not counted yet."""
    found = [
        sample.value
        for family in families.values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items() and "le" not in sample.labels
    ]
    return sum(found)


async def test_a_turn_is_counted_and_the_table_of_the_docs_has_all_that_there_is(small_service: Service) -> None:
    alice, admin = await small_service.user("alice"), await small_service.admin()
    small_service.container.providers.add(
        ScriptedProvider([tool_call("calculator", expression="1 + 1")], [tool_call("nothing")], "Two.")
    )
    agent = await make_agent(alice, provider="scripted", model="counted", tools=["calculator"])
    thread = await make_thread(alice, agent["id"])
    before = await scrape(admin)
    answer = await alice.post(f"/threads/{thread['id']}/messages", json={"content": "How much is it?"})
    assert answer.status_code == 201, answer.text
    assert (await alice.get("/no/such/path")).status_code == 404
    after = await scrape(admin)

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    model = {"provider": "scripted", "model": "counted"}
    assert grown("ai_agents_runs_total", status="completed") == 1
    assert grown("ai_agents_run_seconds_count", status="completed") == 1
    assert grown("ai_agents_model_calls_total", outcome="completed", **model) == 3
    assert grown("ai_agents_tokens_total", kind="input", **model) == 30
    assert grown("ai_agents_tokens_total", kind="output", **model) == 15
    assert grown("ai_agents_first_token_seconds_count", provider="scripted") == 3
    assert grown("ai_agents_tool_seconds_count", tool="calculator", result="ok") == 1
    assert grown("ai_agents_tool_seconds_count", tool="unknown", result="error") == 1
    assert grown("ai_agents_requests_total", route="/threads/{thread_id}/messages", method="POST", status="201") == 1
    assert grown("ai_agents_requests_total", route="none", method="GET", status="404") == 1
    assert value(after, "process_resident_memory_bytes") > 0
    assert value(after, "ai_agents_database_connections_limit") > 0

    rows = _ROW.findall(OPERATIONS.read_text())
    described = {(name.removesuffix("_total"), kind): labels for name, kind, labels in rows}
    own = {name: family for name, family in after.items() if name.startswith("ai_agents_")}
    assert {(name, family.type) for name, family in own.items()} == set(described)
    for (name, _kind), labels in described.items():
        told = set(re.findall(r"`(\w+)`", labels))
        used = {label for sample in own[name].samples for label in sample.labels} - {"le"}
        assert used in (told, set()), name


def test_names_that_users_choose_do_not_grow_without_end() -> None:
    observer = MetricsObserver()
    for number in range(150):
        observer.model_called("many", f"made-up-{number}", "failed", Usage(), None)
    for number in range(150):
        observer.model_called("many", f"model-{number}", "completed", Usage(input_tokens=1), None)
        observer.tool_ended(f"tool-of-many-{number}", 0.1, is_error=False)

    families = {family.name: family for family in REGISTRY.collect()}
    calls = [sample.labels for sample in families["ai_agents_model_calls"].samples]
    models = {labels["model"] for labels in calls if labels["provider"] == "many"}
    tools = {sample.labels["tool"] for sample in families["ai_agents_tool_seconds"].samples}
    assert len(models) == 101
    assert not any(model.startswith("made-up") for model in models)
    assert len({tool for tool in tools if tool.startswith("tool-of-many-")}) == 100
    assert OTHER in models & tools


def test_several_processes_are_told_as_one_text_that_says_which_is_which() -> None:
    text = metrics.render([metrics.gauge("runs_running", "Runs.", 2.0)])
    told = merge({0: text, 1: None, 2: text}).decode()
    merged = {family.name: family for family in text_string_to_metric_families(told)}

    assert [value(merged, "ai_agents_runs_running", process=each) for each in "012"] == [2, 0, 2]
    assert [value(merged, "ai_agents_process_up", process=each) for each in "012"] == [1, 0, 1]
    assert {merged[name].type for name in ("ai_agents_run_seconds", "ai_agents_tool_seconds")} == {"histogram"}
    assert merged["ai_agents_runs"].type == "counter"
