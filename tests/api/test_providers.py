"""Providers as resources: made, changed, checked, listed and deleted over HTTP, and used by agents."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ai_agents.providers.quirks import Quirks
from app.schemas.providers import ProviderQuirks
from tests.api.made_providers import SECRET, ask, described, make_provider, names_seen_by, take_from_everybody
from tests.api.service import Service, check_problem, make_agent, make_thread, open_service, settings_for
from tests.fakes.answers import Raw, say
from tests.fakes.provider_server import FakeProviderServer


async def test_providers_are_listed_with_the_setting_that_they_lack(service: Service) -> None:
    alice, admin = await service.user("alice"), await service.admin()

    page = (await alice.get("/providers")).json()

    found = {provider["name"]: provider for provider in page["data"]}
    assert {"anthropic", "openai", "ollama", "echo"} <= set(found)
    assert found["echo"] == {
        "name": "echo",
        "type": "echo",
        "configured": True,
        "default": True,
        "default_model": "echo",
        "reason": None,
    }
    assert found["anthropic"]["configured"] is False
    assert found["anthropic"]["reason"] == "ANTHROPIC_API_KEY is not set."
    assert found["openai"]["reason"] == "Neither OPENAI_API_KEY nor OPENAI_BASE_URL is set."
    assert page["next"] is None
    of_admin = {provider["name"]: provider for provider in (await admin.get("/providers")).json()["data"]}
    assert of_admin["ollama"]["base_url"] == "http://localhost:11434"
    assert of_admin["ollama"]["source"] == "environment"


async def test_an_agent_answers_over_a_provider_that_an_admin_made(service: Service, fake: FakeProviderServer) -> None:
    admin, alice = await service.admin(), await service.user("alice")
    made = await make_provider(admin, fake, headers={"X-Team": "seven"}, quirks={"finish_reasons": {"EOS": "stop"}})
    fake.script("openai", [say("From ", "the house.", stop="eos")])

    agent = await make_agent(alice, provider="house")
    answer = await ask(alice, await make_thread(alice, agent["id"]))

    assert answer.json()["content"] == "From the house."
    [request] = fake.received("openai")
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert request.headers["x-team"] == "seven"
    assert request.json["model"] == "small"
    assert made["quirks"] == {"finish_reasons": {"eos": "stop"}}
    assert made["configured"] is True


@pytest.mark.parametrize("kind", ["anthropic", "ollama"])
async def test_servers_of_every_type_can_be_made(
    small_service: Service, fake: FakeProviderServer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the environment holds for the built-in provider is never sent to another server.
    monkeypatch.setenv("ANTHROPIC_API_KEY", "of-the-environment")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-of-the-environment: 1")
    admin = await small_service.admin()
    made = {"name": "mine", "type": kind, "base_url": fake.base_url(kind), "default_model": "claude-sonnet-4-5"}
    assert (await admin.post("/providers", json=made)).status_code == 201
    fake.script(kind, [say("Here.")])

    agent = await make_agent(admin, provider="mine")
    answer = await ask(admin, await make_thread(admin, agent["id"]))

    assert answer.json()["content"] == "Here.", answer.text
    assert "of-the-environment" not in str(fake.requests[0].headers)


async def test_headers_that_were_given_win_and_none_of_the_environment_is_sent(
    small_service: Service, fake: FakeProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "of-the-environment")
    fake.strict = False
    admin = await small_service.admin()
    await make_provider(admin, fake, headers={"Authorization": "Basic dXNlcjpwYXNz"})

    await ask(admin, await make_thread(admin, (await make_agent(admin, provider="house"))["id"]))

    [request] = fake.received("openai")
    assert request.headers["authorization"] == "Basic dXNlcjpwYXNz"
    assert "of-the-environment" not in str(request.headers)


async def test_the_secrets_of_a_provider_are_never_shown_nor_stored_readable(
    service: Service, fake: FakeProviderServer, capfd: pytest.CaptureFixture[str]
) -> None:
    admin = await service.admin()
    body = described(fake, headers={"X-Secret": SECRET})

    first = await admin.post("/providers", json=body, headers={"idempotency-key": "once"})
    again = await admin.post("/providers", json=body, headers={"idempotency-key": "once"})

    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert first.headers["location"] == "/providers/house"
    listed = await admin.get("/providers")
    one = await admin.get("/providers/house")
    wrong = await admin.post("/providers", json=body | {"name": "other", "api_key": f"{SECRET}\n"})
    check_problem(wrong, 422, "invalid_request")
    for response in (first, listed, one, wrong):
        assert SECRET not in response.text

    def everything(connection: Any) -> str:
        tables = ("providers", "idempotency_keys")
        return str([[*map(tuple, connection.execute(text(f"SELECT * FROM {table}")))] for table in tables])

    assert SECRET not in await service.container.conn.database.read(everything)
    said = capfd.readouterr()
    assert SECRET not in said.out + said.err


@pytest.mark.parametrize(
    "wrong, field",
    [
        ({"name": "No Spaces"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"type": "skynet"}, "type"),
        ({"type": "echo"}, "type"),
        ({"type": None}, "type"),
        ({"preset": "skynet"}, "preset"),
        ({"preset": "groq", "type": "ollama"}, "type"),
        ({"preset": "azure", "base_url": None}, "base_url"),
        ({"base_url": "ftp://example.org"}, "base_url"),
        ({"base_url": "http://"}, "base_url"),
        ({"base_url": "http://user:password@example.org"}, "base_url"),
        ({"base_url": "http://example.org/v1?key=1"}, "base_url"),
        ({"base_url": "http://example.org:99999"}, "base_url"),
        ({"base_url": "http://256.256.256.256/v1"}, "base_url"),
        ({"base_url": "http://[v1.x]/v1"}, "base_url"),
        ({"base_url": "http://[::1%25lo]/v1"}, "base_url"),
        ({"headers": {"bad name": "x"}}, "headers"),
        ({"headers": {"Content-Length": "1"}}, "headers"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "headers"),
        ({"headers": {f"X-{number}": "x" for number in range(33)}}, "headers"),
        ({"api_key": "with\nnewline"}, "api_key"),
        ({"api_key": ""}, "api_key"),
        ({"default_model": " "}, "default_model"),
        ({"quirks": {"colour": "blue"}}, "quirks"),
        ({"quirks": {"finish_reasons": {"eos": "fine"}}}, "quirks"),
        ({"quirks": {"context_window": 0}}, "quirks"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_a_bad_description_names_its_field(
    shared_service: Service, fake: FakeProviderServer, wrong: dict[str, Any], field: str
) -> None:
    admin = await shared_service.admin()
    body = {key: value for key, value in (described(fake) | wrong).items() if value is not None}

    problem = check_problem(await admin.post("/providers", json=body), 422, "invalid_request")

    assert any(error["loc"][:2] == ["body", field] for error in problem["errors"]), problem
    assert "house" not in await names_seen_by(admin)


def test_every_quirk_can_be_given_over_the_api() -> None:
    told = {field.alias or name for name, field in ProviderQuirks.model_fields.items()}

    assert told == {each.name for each in fields(Quirks)}


async def test_only_admins_make_see_check_change_and_delete(service: Service, fake: FakeProviderServer) -> None:
    admin, alice = await service.admin(), await service.user("alice")
    await make_provider(admin, fake)

    for response in (
        await alice.post("/providers", json=described(fake, name="mine")),
        await alice.get("/providers/house"),
        await alice.patch("/providers/house", json={"default_model": "large"}),
        await alice.delete("/providers/house"),
        await alice.post("/providers/house/check"),
    ):
        check_problem(response, 403, "forbidden")
    for path in ("/providers/none", "/providers/none/models"):
        check_problem(await alice.get(path), 404, "not_found")
    assert "base_url" not in str((await alice.get("/providers")).json())
    assert fake.requests == []


async def test_a_name_that_is_taken_is_a_conflict(service: Service, fake: FakeProviderServer) -> None:
    admin = await service.admin()
    await make_provider(admin, fake)

    for name in ("house", "openai", "echo"):
        check_problem(await admin.post("/providers", json=described(fake, name=name)), 409, "conflict")
    for change in (admin.patch("/providers/echo", json={}), admin.delete("/providers/echo")):
        check_problem(await change, 409, "conflict")


async def test_a_change_counts_for_the_next_model_call(service: Service, fake: FakeProviderServer) -> None:
    admin = await service.admin()
    made = await make_provider(admin, fake, headers={"X-Team": "seven"})
    agent = await make_agent(admin, provider="house")
    thread = await make_thread(admin, agent["id"])
    await ask(admin, thread)

    changed = await admin.patch(
        "/providers/house", json={"api_key": "sk-new", "default_model": "large"}, headers={"if-match": '"1"'}
    )
    await ask(admin, thread)

    assert changed.json() == made | {"default_model": "large", "version": 2}
    assert changed.headers["etag"] == '"2"'
    first, second = fake.received("openai")
    assert (first.headers["authorization"], first.json["model"]) == (f"Bearer {SECRET}", "small")
    assert (second.headers["authorization"], second.json["model"]) == ("Bearer sk-new", "large")
    assert second.headers["x-team"] == "seven"
    stale = await admin.patch("/providers/house", json={"default_model": "x"}, headers={"if-match": '"1"'})
    check_problem(stale, 412, "precondition_failed")
    check_problem(await admin.delete("/providers/house", headers={"if-match": '"1"'}), 412, "precondition_failed")
    same = await admin.patch("/providers/house", json={"default_model": "large"})
    assert same.json()["version"] == 2


async def test_null_removes_what_was_given(service: Service, fake: FakeProviderServer) -> None:
    admin = await service.admin()
    body = {"name": "local", "preset": "vllm", "base_url": fake.base_url("openai"), "api_key": SECRET}
    assert (await admin.post("/providers", json=body | {"default_model": "m"})).status_code == 201

    changed = await admin.patch("/providers/local", json={"base_url": None, "api_key": None, "default_model": None})

    assert changed.json()["base_url"] == "http://localhost:8000/v1"
    assert changed.json()["default_model"] is None
    assert changed.json()["configured"] is True


async def test_a_preset_brings_all_but_the_key(service: Service) -> None:
    admin = await service.admin()

    made = await admin.post("/providers", json={"name": "groq", "preset": "groq", "api_key": SECRET})
    together = await admin.post("/providers", json={"name": "together", "preset": "together"})

    assert made.json()["type"] == "openai"
    assert made.json()["base_url"] == "https://api.groq.com/openai/v1"
    assert made.json()["configured"] is True
    assert together.json()["quirks"] == {"finish_reasons": {"eos": "stop"}}
    assert together.json()["configured"] is False
    assert together.json()["reason"] == "together has no api_key."


async def test_a_run_of_a_deleted_provider_says_that_it_is_gone(service: Service, fake: FakeProviderServer) -> None:
    admin, alice = await service.admin(), await service.user("alice")
    await make_provider(admin, fake)
    agent = await make_agent(alice, provider="house")
    thread = await make_thread(alice, agent["id"])

    assert (await admin.delete("/providers/house")).status_code == 204

    problem = check_problem(await ask(alice, thread), 503, "provider_not_configured")
    assert "no provider house" in problem["detail"]
    check_problem(await admin.get("/providers/house"), 404, "not_found")
    # The agent still names it, and can be changed all the same.
    renamed = await alice.patch(f"/agents/{agent['id']}", json={"name": "renamed", "provider": "house"})
    assert renamed.status_code == 200
    check_problem(await alice.post("/agents", json={"name": "a", "provider": "house"}), 422, "invalid_request")


async def test_a_deleted_provider_is_closed_once_its_streams_have_ended(
    service: Service, fake: FakeProviderServer
) -> None:
    admin = await service.admin()
    await make_provider(admin, fake)
    thread = await make_thread(admin, (await make_agent(admin, provider="house"))["id"])
    await ask(admin, thread)
    provider = service.container.providers.get("house")
    transport = provider._transport  # type: ignore[attr-defined]  # what is open cannot be seen from outside

    await admin.delete("/providers/house")

    assert transport is not None
    assert provider._transport is None  # type: ignore[attr-defined]


async def test_a_check_tells_what_the_server_said(service: Service, fake: FakeProviderServer) -> None:
    admin = await service.admin()
    await make_provider(admin, fake)
    refusal = b'{"error": {"message": "No such model: large", "type": "invalid_request_error"}}'
    fake.script("openai", [say("Hi"), Raw([refusal], 404)])

    good = (await admin.post("/providers/house/check")).json()
    bad = (await admin.post("/providers/house/check", params={"model": "large"})).json()
    lacking = (await admin.post("/providers/anthropic/check")).json()

    assert good.pop("latency_ms") >= 0
    assert good == {"ok": True, "status": 200, "model": "small", "reason": None}
    assert (bad["ok"], bad["status"], bad["model"]) == (False, 404, "large")
    assert "No such model: large" in bad["reason"]
    assert (lacking["ok"], lacking["status"]) == (False, None)
    assert "ANTHROPIC_API_KEY" in lacking["reason"]
    first, _second = fake.received("openai")
    assert first.json["max_tokens"] == 1024


async def test_a_check_is_tried_once_and_never_follows_a_redirect(service: Service, fake: FakeProviderServer) -> None:
    admin = await service.admin()
    await make_provider(admin, fake)
    there = fake.base_url("openai") + "/models"
    fake.listed["/v1/models"] = {"data": []}
    fake.script("openai", [Raw([b"{}"], 503), Raw([b""], 307, headers={"location": there})])

    overloaded = (await admin.post("/providers/house/check")).json()
    redirected = (await admin.post("/providers/house/check")).json()

    assert (overloaded["ok"], overloaded["status"]) == (False, 503)
    assert (redirected["ok"], redirected["status"]) == (False, 307)
    assert len(fake.received("openai")) == 2
    assert fake.listings == []


async def test_models_are_listed_as_the_server_lists_them_and_kept(service: Service, fake: FakeProviderServer) -> None:
    admin, alice = await service.admin(), await service.user("alice")
    await make_provider(admin, fake)
    fake.listed["/v1/models"] = {
        "data": [{"id": "small", "max_model_len": 8192}, {"id": 7}, "odd", {"id": "large", "name": "The large one"}]
    }

    first = (await alice.get("/providers/house/models")).json()
    again = (await alice.get("/providers/house/models")).json()

    assert first["data"] == [
        {"id": "small", "name": None, "context_window": 8192},
        {"id": "large", "name": "The large one", "context_window": None},
    ]
    assert again == first
    assert fake.listings == ["/v1/models"]
    await admin.patch("/providers/house", json={"api_key": "sk-new"})
    assert (await alice.get("/providers/house/models")).json()["data"] == first["data"]
    assert len(fake.listings) == 2
    echo = (await alice.get("/providers/echo/models")).json()
    assert [model["id"] for model in echo["data"]] == ["echo"]


async def test_models_of_each_type_of_server_are_read(small_service: Service, fake: FakeProviderServer) -> None:
    admin = await small_service.admin()
    fake.listed["/v1/models?limit=1000"] = {
        "data": [{"id": "claude-a", "display_name": "Claude A", "type": "model"}],
        "has_more": True,
        "last_id": "claude-a",
    }
    fake.listed["/v1/models?limit=1000&after_id=claude-a"] = {"data": [{"id": "claude-b"}], "has_more": False}
    fake.listed["/api/tags"] = {"models": [{"name": "qwen3:8b"}]}
    for kind in ("anthropic", "ollama"):
        made = {"name": f"my-{kind}", "type": kind, "base_url": fake.base_url(kind), "api_key": SECRET}
        assert (await admin.post("/providers", json=made)).status_code == 201

    claude = (await admin.get("/providers/my-anthropic/models")).json()["data"]
    ollama = (await admin.get("/providers/my-ollama/models")).json()["data"]

    assert [(model["id"], model["name"]) for model in claude] == [("claude-a", "Claude A"), ("claude-b", None)]
    assert [model["id"] for model in ollama] == ["qwen3:8b"]


async def test_a_server_that_lists_nothing_is_a_problem_of_the_provider(
    service: Service, fake: FakeProviderServer
) -> None:
    admin = await service.admin()
    await make_provider(admin, fake)

    check_problem(await admin.get("/providers/house/models"), 502, "provider_rejected")
    fake.listed["/v1/models"] = {"data": []}
    assert (await admin.get("/providers/house/models")).json()["data"] == []
    check_problem(await admin.get("/providers/openai/models"), 503, "provider_not_configured")


async def test_what_a_refusal_taught_is_shown_until_the_provider_changes(
    service: Service, fake: FakeProviderServer
) -> None:
    admin = await service.admin()
    await make_provider(admin, fake)
    refusal = b'{"error": {"message": "Unknown field stream_options", "param": "stream_options"}}'
    fake.script("openai", [Raw([refusal], 400), say("Learned.")])
    thread = await make_thread(admin, (await make_agent(admin, provider="house"))["id"])

    assert (await ask(admin, thread)).json()["content"] == "Learned."

    assert (await admin.get("/providers/house")).json()["learned"] == {"small": {"stream_options": False}}
    await ask(admin, thread)
    changed = await admin.patch("/providers/house", json={"headers": {"X-Upgraded": "yes"}})
    assert changed.json()["learned"] == {}
    await ask(admin, thread)
    sent = ["stream_options" in request.json for request in fake.received("openai")]
    assert sent == [True, False, False, True]


async def test_what_was_made_is_there_after_a_restart_and_its_default_can_be_the_services(
    database_url: str, tmp_path: Path, fake: FakeProviderServer
) -> None:
    async with open_service(settings_for(database_url, tmp_path)) as service:
        admin = await service.admin()
        await make_provider(admin, fake)
        await take_from_everybody(admin, "echo")

    settings = settings_for(database_url, tmp_path, default_model="house:large")
    async with open_service(settings) as service:
        admin, alice = await service.admin(), await service.user("alice")
        await ask(admin, await make_thread(admin))
        assert fake.received("openai")[0].json["model"] == "small"
        check_problem(await admin.delete("/providers/house"), 409, "conflict")
        assert "echo" not in await names_seen_by(alice)


async def test_a_key_that_cannot_be_opened_any_more_is_said_and_can_be_given_again(
    database_url: str, tmp_path: Path, fake: FakeProviderServer
) -> None:
    async with open_service(settings_for(database_url, tmp_path, encryption_key="the-first-key-of-all")) as service:
        await make_provider(await service.admin(), fake)

    async with open_service(settings_for(database_url, tmp_path, encryption_key="quite-another-key")) as service:
        admin = await service.admin()
        shown = (await admin.get("/providers/house")).json()
        assert shown["configured"] is False
        assert "AI_AGENTS_ENCRYPTION_KEY" in shown["reason"]
        changed = await admin.patch("/providers/house", json={"api_key": "sk-new"})
        assert changed.json()["configured"] is True
