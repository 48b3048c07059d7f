"""What a process of the service writes about failures of providers."""

import json
import subprocess
import sys

PROGRAM = """
import asyncio
from ai_agents.core.exceptions import ProviderError
from ai_agents.core.types import ModelMessage, ModelRequest, TextPart
from ai_agents.providers.registry import get_provider
from app.logs import configure
from tests.fakes.answers import Raw
from tests.fakes.provider_server import FakeProviderServer

configure("info")

async def fail():
    async with FakeProviderServer() as fake:
        fake.script("openai", [Raw([b'{"error": {"message": "Quota for sk-made-up-key is used up"}}'], 403)])
        provider = get_provider("openai", api_key="sk-made-up-key", base_url=fake.base_url("openai"))
        try:
            await provider.complete(ModelRequest(model="m", messages=(ModelMessage("user", (TextPart("Hi"),)),)))
        except ProviderError:
            await provider.aclose()

asyncio.run(fail())
"""


def test_a_failure_of_a_provider_is_one_line_with_what_the_server_said_and_where_it_is() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)

    [line] = [json.loads(line) for line in ended.stderr.splitlines() if "refused" in line]
    assert (line["provider"], line["model"], line["status"], line["level"]) == ("openai", "m", 403, "warning")
    assert line["address"].startswith("http://127.0.0.1:")
    assert line["said"].startswith("Quota for")
    assert "sk-made-up-key" not in ended.stderr
