"""What the worst bodies cost: no other request waits long for them.

Before their values were counted, half a million wrong entries stopped the process for 1.5 s, and a hundred thousand
unknown names for 0.3 s.
"""

import gc
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
import pytest

from app import problems, strict_json
from app.doors.listed import door_at
from app.errors import MAX_ERRORS, InvalidFields
from app.strict_json import MAX_VALUES, parse_json
from tests.api.declared import document
from tests.api.service import JSON, Service, check_problem, make_agent, make_thread
from tests.api.test_access import WITH_BODY, fill
from tests.api.worst_bodies import worst_bodies
from tests.support.examples import FUZZ

# Of 40 to 1,400 for a route. All of them take a minute.
SAMPLE = 7
# Ten times what the worst takes.
MOST_S = 0.5


def bodies(method: str, path: str) -> list[tuple[str, Callable[[], bytes]]]:
    schema = document()["paths"][path][method.lower()]["requestBody"]["content"]["application/json"]["schema"]
    found = list(worst_bodies(schema, document()["components"]["schemas"]))
    return found if FUZZ else random.Random(path).sample(found, SAMPLE)


@pytest.fixture
def small_heap() -> Iterator[None]:
    """The collector of garbage looks at new objects alone, as in the service."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.hypothesis  # for `make fuzz`
@pytest.mark.usefixtures("small_heap")
async def test_no_body_holds_up_other_requests(small_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    described, parsed = [0], [0]
    describe, parse = problems.validation_errors, orjson.loads

    def count_described(details: Sequence[Any], **given: Any) -> Any:
        described.append(len(details))
        return describe(details, **given)

    def count_parsed(raw: bytes) -> Any:
        value = parse(raw)
        parsed.append(sum(1 for _ in strict_json.walk(value)))
        return value

    admin = await small_service.admin()
    thread = await make_thread(admin)
    key = await small_service.container.keys.create("alice", "tests")
    hook = (await admin.post("/webhooks", json={"url": "https://8.8.8.8/", "events": ["run.failed"]})).json()
    ids = {"thread_id": thread["id"], "agent_id": thread["agent_id"], "key_id": key["id"], "name": "echo"}
    ids["webhook_id"] = hook["id"]
    said = await admin.post(f"/threads/{thread['id']}/messages", json={"content": "Hello"})
    ids["run_id"] = said.json()["run_id"]
    tool = {
        "type": "http",
        "name": "orders",
        "description": "Orders.",
        "url": "https://8.8.8.8/",
        "credentials": "user",
    }
    assert (await admin.post("/tools", json=tool)).status_code == 201
    ids["tool"] = "orders"
    monkeypatch.setattr(problems, "validation_errors", count_described)
    monkeypatch.setattr("app.strict_json.orjson.loads", count_parsed)
    slow = []
    for method, path in WITH_BODY:
        for name, make in bodies(method, path):
            body = make()
            began = time.thread_time()
            response = await admin.request(method, fill(path, **ids), content=body, headers=JSON)
            took_s = time.thread_time() - began
            if door_at(path) is None:
                assert 1 <= len(check_problem(response, 422, "invalid_request")["errors"]) <= MAX_ERRORS
            assert response.status_code < 500  # a door may ignore what it does not know
            assert len(response.content) < 32 * 1024
            if took_s > MOST_S:
                slow.append((method, path, name, took_s))

    assert max(described) <= problems.MAX_DESCRIBED
    assert MAX_VALUES / 2 < max(parsed) <= 2 * MAX_VALUES  # names and values
    assert slow == []


def test_commas_and_brackets_in_texts_are_no_values() -> None:
    texts = ["[{,}]" * 20_000, '"' * 50_000, "\\" * 50_000, '\\"', "\\\\", '",', "ü\n" * 9]

    assert parse_json(orjson.dumps(texts), max_depth=32) == texts


@pytest.mark.parametrize("values", [MAX_VALUES, MAX_VALUES + 1])
def test_a_body_may_have_so_many_values_and_no_more(values: int) -> None:
    body = orjson.dumps(["a,b"] * (values - 1))

    if values <= MAX_VALUES:
        assert len(parse_json(body, max_depth=32)) == values - 1
    else:
        with pytest.raises(InvalidFields, match="more than 25000 values"):
            parse_json(body, max_depth=32)


async def test_a_thread_and_an_agent_at_their_other_limits_are_accepted(small_service: Service) -> None:
    alice = await small_service.user("alice")
    patterns = [{"type": "blocklist", "patterns": [f"word {number}" for number in range(500)]}] * 4
    message = {"role": "user", "content": [{"type": "text", "text": "[,]" * 10}] * 5, "metadata": {"a": [1, 2, 3]}}

    await make_agent(alice, guardrails=patterns, metadata={str(number): 0 for number in range(1_500)})
    thread = await make_thread(alice, messages=[message] * 1_000)

    assert (await alice.get(f"/threads/{thread['id']}/messages")).json()["next"]
