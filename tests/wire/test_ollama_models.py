"""What an Ollama server tells of its models, and what requests to them leave out."""

import asyncio
import json
from typing import Any

import pytest

from ai_agents import AgentRunner, AgentStore, ProviderPool, RunStore, ThreadStore
from ai_agents.core.types import FileContent, FilePart, ModelMessage, ModelRequest, TextPart
from ai_agents.providers.files import IMAGES
from ai_agents.providers.http_provider import HTTPProvider
from ai_agents.providers.ollama import OllamaProvider
from ai_agents.providers.quirks import Endpoint, Quirks
from ai_agents.runner.handle import open_handle
from tests.fakes import samples
from tests.fakes.answers import Raw, say
from tests.fakes.http_server import Asked, HttpServer
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, FORMATS, ask, sent, user

NAME = "ollama"
PICTURE = FilePart("f", "cat.png", "image/png", 3, content=FileContent("data", data=samples.png()))


# As https://docs.ollama.com/api-reference/show-model-details shows it, read 2026-11-30; shortened.
def shown(*capabilities: str, length: Any = 131_072, **facts: Any) -> dict[str, Any]:
    info = {"general.architecture": "qwen3", "qwen3.context_length": length, "qwen3.block_count": 28}
    return {"details": {"family": "qwen3"}, "model_info": info, "capabilities": ["completion", *capabilities]} | facts


async def told(
    connect: Connect, fake: FakeProviderServer, body: Any, *, model: str = "a-model", **options: Any
) -> HTTPProvider:
    fake.shown[model] = body
    provider = connect(NAME, **options)
    assert isinstance(provider, HTTPProvider)
    await provider.prepare_model(model)
    return provider


def asked(model: str = "a-model", effort: str | None = "low", **facts: Any) -> ModelRequest:
    question = ModelMessage("user", (TextPart("Look"), PICTURE))
    return ask(NAME, question, model=model, tools=(CALCULATOR,), settings={"reasoning": effort}, **facts)


def payload_of(provider: HTTPProvider, request: ModelRequest) -> dict[str, Any]:
    return provider.wire_format(request).to_wire(request, provider.endpoint(request.model))


def notices_of(provider: HTTPProvider, request: ModelRequest) -> list[Any]:
    return [notice.get("setting") or notice.get("tool") for notice in provider.left_out(request)]


async def test_what_a_model_takes_is_asked_of_its_server(fake: FakeProviderServer, connect: Connect) -> None:
    provider = await told(connect, fake, shown("tools", "vision", "thinking"))

    payload = payload_of(provider, asked())
    assert payload["think"] is True
    assert payload["tools"]
    assert payload["messages"][0]["images"]
    assert provider.left_out(asked()) == []
    assert "image/png" in provider.capabilities("a-model").files.media_types


async def test_what_the_model_does_not_take_is_left_out_and_said(fake: FakeProviderServer, connect: Connect) -> None:
    provider = await told(connect, fake, shown(), model="gemma3")

    request = asked("gemma3")
    payload = payload_of(provider, request)
    assert not {"think", "tools"} & payload.keys()
    assert "images" not in payload["messages"][0]
    assert "cat.png" in payload["messages"][0]["content"]
    assert notices_of(provider, request) == ["reasoning", "calculator", "images"]
    assert notices_of(provider, asked("gemma3", effort="none")) == ["calculator", "images"]
    assert not provider.capabilities("gemma3").files.media_types & IMAGES


async def test_quirks_overrule_what_the_server_tells(fake: FakeProviderServer, connect: Connect) -> None:
    quirks = Quirks(tools=True, images=True, reasoning=True, context_window=65_536)

    provider = await told(connect, fake, shown(length=4096), quirks=quirks)

    payload = payload_of(provider, asked())
    assert {"think", "tools"} <= payload.keys()
    assert payload["messages"][0]["images"]
    assert provider.capabilities("a-model").context_window == 65_536


async def test_a_server_that_did_not_tell_is_not_asked_at_once(fake: FakeProviderServer, connect: Connect) -> None:
    provider = connect(NAME)
    for model in ("llava", "llama3.1", "llava"):
        await provider.prepare_model(model)

    assert fake.shows == ["llava", "llama3.1"]
    assert provider.capabilities("llava").files.media_types
    assert not provider.capabilities("llama3.1").files.media_types
    assert provider.capabilities("llava").context_window is None


async def test_a_server_is_asked_once_for_all_that_wait(fake: FakeProviderServer, connect: Connect) -> None:
    fake.shown["a-model"] = shown()
    provider = connect(NAME)

    await asyncio.gather(*(provider.prepare_model("a-model") for _ in range(5)))

    assert fake.shows == ["a-model"]


@pytest.mark.parametrize(
    "body",
    [
        [],
        "x",
        {"capabilities": "x", "model_info": [1]},
        {"capabilities": [1, None], "model_info": {"general.architecture": {}}},
    ],
)
async def test_an_odd_answer_tells_nothing(body: Any, fake: FakeProviderServer, connect: Connect) -> None:
    provider = await told(connect, fake, body, model="llava")

    assert provider.capabilities("llava").files.media_types
    assert {"think", "tools"} <= payload_of(provider, asked("llava")).keys()


async def test_asking_never_raises() -> None:
    async with HttpServer() as server:

        async def hang_up(_: Asked, writer: Any) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{")

        server.on("/api/show", hang_up)
        provider = OllamaProvider(base_url=server.url(""))
        try:
            await provider.prepare_model("a-model")
        finally:
            await provider.aclose()

    assert len(server.asked) == 1


async def test_an_old_server_tells_of_pictures_by_its_projector(fake: FakeProviderServer, connect: Connect) -> None:
    body = {"model_info": {"general.architecture": "llama"}, "projector_info": {"general.architecture": "clip"}}

    provider = await told(connect, fake, body)

    assert "image/png" in provider.capabilities("a-model").files.media_types
    assert "tools" in payload_of(provider, asked())


@pytest.mark.parametrize(
    "facts, characters, sizes",
    [
        ({"length": 131_072}, 10, (8192, 32_768)),
        ({"length": 131_072}, 900_000, (32_768, 32_768)),
        ({"length": 2048}, 10, (2048, 2048)),
        ({"length": 20_000}, 900_000, (20_000, 20_000)),
        ({"length": "x"}, 900_000, (32_768, None)),
        (
            {"length": 131_072, "parameters": 'num_ctx            65536\nstop "x"'},
            900_000,
            (65_536, 65_536),
        ),
        ({"length": 131_072, "remote_host": "https://ollama.com:443"}, 900_000, (131_072, 131_072)),
    ],
)
async def test_the_context_is_within_what_the_model_has(
    facts: dict[str, Any], characters: int, sizes: tuple[int, int | None], fake: FakeProviderServer, connect: Connect
) -> None:
    provider = await told(connect, fake, shown(**facts))

    payload = payload_of(provider, ask(NAME, user("x" * characters), model="a-model"))
    assert (payload["options"]["num_ctx"], provider.capabilities("a-model").context_window) == sizes


async def test_models_in_ollamas_cloud_have_all_their_context(fake: FakeProviderServer, connect: Connect) -> None:
    provider = await told(connect, fake, shown(), model="gpt-oss:120b-cloud")
    direct = OllamaProvider(base_url="https://ollama.com", api_key="a-key")

    assert provider.capabilities("gpt-oss:120b-cloud").context_window == 131_072
    assert direct.endpoint("gpt-oss:120b").facts.in_cloud


@pytest.mark.parametrize(
    "values, effort, think",
    [
        (["low", "medium", "high"], "medium", "medium"),
        (["low", "high"], "medium", None),
        ([False, True], "medium", True),
        ([False, True], "none", False),
        (["low", "high"], "none", None),
    ],
)
async def test_thinking_has_the_values_that_the_server_tells(
    values: list[Any], effort: str, think: Any, fake: FakeProviderServer, connect: Connect
) -> None:
    provider = await told(connect, fake, shown(thinking={"values": values, "default": values[0]}))

    assert payload_of(provider, asked(effort=effort)).get("think") == think


@pytest.mark.parametrize(
    "refusal, quirks",
    [
        ('"a-model" does not support thinking', Quirks(reasoning=False)),
        ("registry.ollama.ai/library/a-model:latest does not support tools", Quirks(tools=False)),
        ("this model is missing data required for image input", Quirks(images=False)),
        ("json: cannot unmarshal string into Go struct field ChatRequest.think of type bool", Quirks(reasoning=False)),
    ],
)
async def test_what_a_refusal_says_is_remembered(
    refusal: str, quirks: Quirks, fake: FakeProviderServer, connect: Connect
) -> None:
    """For servers that do not tell what their models take."""
    fake.script(NAME, [Raw([json.dumps({"error": refusal}).encode()], status=400), say("Hi"), say("Hi")])
    provider = connect(NAME)
    assert isinstance(provider, HTTPProvider)
    request = asked("llava")

    for _ in range(2):
        await provider.complete(request)

    first, second, third = (received.json for received in fake.received(NAME))
    assert first != second == third
    assert provider.learned.all() == {"llava": quirks}


def test_settings_that_a_server_does_not_take_are_left_out_and_said() -> None:
    settings = {"temperature": 0.5, "stop": ("END",)}
    quirks = Quirks(sampling=False, stop=False, schema="instructed")
    request = ask(NAME, settings=settings, output_schema={"type": "object", "properties": {}})

    payload = sent(NAME, request, sampling=False, stop=False, schema="instructed")
    notices = FORMATS[NAME].left_out(request, Endpoint(NAME, quirks))

    assert payload["options"] == {"num_ctx": 8192}
    assert "format" not in payload
    assert [notice.get("setting") for notice in notices] == ["temperature", "stop"]


async def test_a_run_says_what_its_model_does_not_take(sqlite_url: str, fake: FakeProviderServer) -> None:
    fake.shown["gemma3"] = shown("vision", length=4096)
    pool = ProviderPool({"ollama": {"base_url": fake.base_url(NAME)}})
    conn = await open_handle(sqlite_url)
    runner = AgentRunner(conn, providers=pool)
    agent = await AgentStore(conn).create(
        name="a", provider=NAME, model="gemma3", tools=["calculator"], settings={"reasoning": "low"}
    )
    thread = await ThreadStore(conn).create(agent["id"], owner_id="ada")

    for _ in range(2):
        await runner.run(thread["id"], "ada", "Hello!")

    (run, _) = (await RunStore(conn).list(thread["id"]))["data"]
    await conn.close(grace_s=0)
    await pool.aclose()
    assert run["status"] == "completed"
    left = [notice.get("setting") or notice.get("tool") for notice in run["notices"]]
    assert left == ["reasoning", "calculator"]
    assert fake.shows == ["gemma3"]
    assert all("tools" not in sent.json and sent.json["options"]["num_ctx"] == 4096 for sent in fake.requests)
