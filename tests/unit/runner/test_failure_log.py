"""Each failure of a provider is one line of the log, with its run and with what the server said, and no secret."""

import logging

import orjson
import pytest

from ai_agents.core.exceptions import ProviderRejected
from tests.fakes.answers import Raw
from tests.fakes.provider_server import FakeProviderServer
from tests.unit.runner.conftest import USER, MakeTalk, OpenThread
from tests.unit.runner.failing import begun, status
from tests.wire.requests import MODELS, WIRES, provider_of

KEY = "sk-proj-0123456789abcdef"
BUSY = Raw(
    [orjson.dumps({"error": {"message": f"Busy for {KEY}", "status": 503}})],
    status=503,
    headers={"content-type": "application/json"},
)
LOGGER = "ai_agents.providers.failures"


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [vars(record) for record in caplog.records if record.name == LOGGER]


@pytest.mark.parametrize("wire", WIRES)
async def test_each_try_that_fails_is_one_line(
    wire: str, fake: FakeProviderServer, open_thread: OpenThread, caplog: pytest.LogCaptureFixture
) -> None:
    fake.script(wire, [BUSY, Raw(begun(wire), end="reset")])
    thread = await open_thread(wire)

    outcome = await thread.ask()

    first, second = lines(caplog)
    assert outcome.run["status"] == "completed"
    assert (first["status"], first["said"]) == (503, "Busy for ***")
    assert second["status"] is None
    for line in (first, second):
        assert (line["provider"], line["model"]) == (provider_of(wire), MODELS[wire])
        assert (line["run_id"], line["thread_id"]) == (outcome.run["id"], thread.id)
        assert str(line["address"]).startswith("http://127.0.0.1:")
        assert KEY not in str(line)


async def test_the_address_is_logged_without_its_password(
    fake: FakeProviderServer, open_thread: OpenThread, caplog: pytest.LogCaptureFixture
) -> None:
    fake.script("ollama", [status(400)])
    address = fake.base_url("ollama").replace("://", "://ada:password@")
    thread = await open_thread("ollama", addresses={"ollama": address})

    await thread.ask()

    [line] = lines(caplog)
    assert line["address"] == fake.base_url("ollama")
    assert "password" not in str(line)


async def test_a_provider_of_ones_own_that_fails_is_logged_too(
    make_talk: MakeTalk, caplog: pytest.LogCaptureFixture
) -> None:
    talk = await make_talk(ProviderRejected("No.", provider="scripted"))

    with caplog.at_level(logging.WARNING), pytest.raises(ProviderRejected):
        await talk.runner.run(talk.thread_id, USER, "Hello!")

    [line] = lines(caplog)
    assert (line["provider"], line["thread_id"]) == ("scripted", talk.thread_id)
