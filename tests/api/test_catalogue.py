"""Tools that agents may name, and the state of the service."""

import pytest

from ai_agents.core.exceptions import DatabaseUnavailable
from tests.api.service import Service, check_problem


async def test_tools_are_listed_with_their_schemas(small_service: Service) -> None:
    alice = await small_service.user("alice")

    tools = (await alice.get("/tools")).json()["data"]

    calculator = next(tool for tool in tools if tool["name"] == "calculator")
    assert calculator["description"]
    assert calculator["parameters"]["type"] == "object"


async def test_without_its_database_it_is_not_ready(small_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await small_service.anonymous()

    async def fail(_database: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(type(small_service.container.conn.database), "ping", fail)

    assert (await client.get("/livez")).status_code == 200
    response = await client.get("/readyz")
    check_problem(response, 503, "database_unavailable")
    assert int(response.headers["retry-after"]) > 0


async def test_a_service_that_stops_is_not_ready(small_service: Service) -> None:
    client = await small_service.anonymous()

    await small_service.app.state.begin_drain()

    check_problem(await client.get("/readyz"), 503, "overloaded")
    assert (await client.get("/livez")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/assets/js/docs.js", "/assets/css/base.css", "/assets/js/main.js", "/openapi.json"]
)
async def test_the_pages_are_open_and_load_nothing_from_elsewhere(shared_service: Service, path: str) -> None:
    response = await (await shared_service.anonymous()).get(path)

    assert response.status_code == 200
    if path != "/openapi.json":  # its examples name addresses
        assert "https://" not in response.text
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"


async def test_the_document_is_sent_compressed_to_those_who_take_it_so(shared_service: Service) -> None:
    anonymous = await shared_service.anonymous()
    plain = await anonymous.get("/openapi.json", headers={"accept-encoding": "identity"})
    compressed = await anonymous.get("/openapi.json", headers={"accept-encoding": "gzip"})

    assert plain.json() == compressed.json() == shared_service.app.openapi()
    assert "content-encoding" not in plain.headers
    assert (compressed.headers["content-encoding"], compressed.headers["vary"]) == ("gzip", "accept-encoding")
    assert int(compressed.headers["content-length"]) < int(plain.headers["content-length"]) / 5
