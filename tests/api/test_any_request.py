"""Requests of any kind: none is answered by a 5xx, and each answer is as openapi.yaml declares it."""

from collections import Counter
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.any_requests import Case, Known, any_cases, prepared
from tests.api.live import serve
from tests.api.service import settings_for
from tests.support.examples import FUZZ

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# For each operation so many that fit, and so many that do not: 10,000 in all in `make fuzz`.
COUNT = 90 if FUZZ else 1
DATABASES = ["sqlite_url", "postgresql_url"] if FUZZ else ["sqlite_url"]
EVENTS = "text/event-stream"


async def answer_to(client: httpx.AsyncClient, case: Case) -> tuple[httpx.Response, Any] | None:
    """The answer and its JSON, if it has some; None for a request that no client can send."""
    request = prepared(case, client)
    if request is None:
        return None
    try:
        response = await client.send(request, stream=True)
    except (httpx.LocalProtocolError, UnicodeError):
        return None
    media_type = response.headers.get("content-type", "")
    try:
        if media_type.startswith(EVENTS):
            async for _ in response.aiter_bytes():
                break  # streams of threads have no end
            return response, None
        await response.aread()
    finally:
        await response.aclose()
    # The SDK of MCP answers a notification with 202 and nothing.
    is_json = "json" in media_type and response.content and not case.path.endswith("/content")
    return response, orjson.loads(response.content) if is_json else None


@pytest.mark.hypothesis  # for `make fuzz`
@pytest.mark.parametrize("database", DATABASES)
async def test_every_answer_is_declared_and_none_is_a_failure(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    number = DATABASES.index(database)
    settings = settings_for(request.getfixturevalue(database), tmp_path, max_requests_per_minute=1_000_000)
    known, statuses, found = Known(number), Counter[int](), []
    async with serve(settings) as live:
        clients = cycle([await live.user("alice"), await live.admin()])
        for case, client in zip(any_cases(COUNT, number=number), clients, strict=False):
            if not known.lead(case):
                continue
            try:
                answered = await answer_to(client, case)
                if answered is None:
                    continue
                response, answer = answered
                statuses[response.status_code] += 1
                known.learn(case, response.status_code, answer)
                if answer is not None:
                    case.validate_response(response, checks=CHECKS)
            except (AssertionError, Failure, FailureGroup) as failure:
                found.append(f"{case.method} {case.formatted_path}: {failure!r} {str(case.body)[:500]}")

    assert found == []
    assert {200, 201, 403, 404, 422} <= set(statuses), statuses
    assert sum(statuses.values()) > 80 * COUNT
