"""Settings that cannot work are found at the start: a line names the variable and says what it should be."""

import asyncio
from pathlib import Path

import pytest

from ai_agents.core.exceptions import AIAgentsError, InvalidRequest, StorageUnavailable
from app.cli import main
from app.container import build_providers, check_models, open_container
from app.errors import CannotStart
from app.key_files import admin_key, encryption_keys
from app.serving.listening import listen
from app.settings import Settings
from app.settings.reading import read_settings, unknown_names
from tests.api.service import settings_for
from tests.support.processes import free_port

# By variable: values that cannot work, and a part of what is said. Every setting is here, or in `ANYTHING`.
WRONG: dict[str, list[tuple[str, str]]] = {
    "PORT": [("abc", "whole number"), ("70000", "at most 65535"), ("-1", "at least 0")],
    "AI_AGENTS_ADMIN_KEY": [
        ("short", "at least 8 characters"), ("choose-a-key-of-your-own", "example"), ("a-key-is-é", "visible ASCII"),
    ],
    "AI_AGENTS_ENCRYPTION_KEY": [("short", "at least 16 characters")],
    "AI_AGENTS_LOG_LEVEL": [("loud", "should be 'debug', 'info', 'warning' or 'error'")],
    "AI_AGENTS_SHUTDOWN_GRACE_S": [("inf", "finite"), ("-1", "at least 0"), ("1e300", "at most")],
    "AI_AGENTS_CORS_ORIGINS": [("example.com", "like https://example.com")],
    "AI_AGENTS_HOSTS": [("https://x.com", "like chat.example.com")],
    "AI_AGENTS_TRUST_PROXY": [("proxy.internal", "like 10.0.0.0/8")],
    "AI_AGENTS_USERS_SHARE_WITH_ALL": [("maybe", "true or false")],
    "AI_AGENTS_OIDC_ISSUER": [("login.example.com", "like https://login.example"), ("https://x", "set together")],
    "AI_AGENTS_OIDC_AUDIENCE": [("ai-agents", "set together")],
    "AI_AGENTS_OIDC_CLIENT_ID": [("page", "AI_AGENTS_OIDC_ISSUER, which is not set")],
    "AI_AGENTS_OIDC_ADMIN_CLAIM": [("groups=", "like `groups=admins`")],
    "AI_AGENTS_DATABASE_URL": [("mysql://x/y", "use sqlite or postgresql"), ("nonsense", "is named by a URL such as")],
    "AI_AGENTS_DATABASE_DIRECT_URL": [("mysql://x/y", "use sqlite or postgresql")],
    "AI_AGENTS_DATABASE_POOL_SIZE": [("0", "at least 1"), ("1000", "at most 500")],
    "AI_AGENTS_REDIS_URL": [("http://x", "like redis://host:6379/0")],
    "AI_AGENTS_FILES_URL": [("bucket/prefix", "like s3://bucket/prefix")],
    "AI_AGENTS_WORKER_CONCURRENCY": [("0", "at least 1")],
    "AI_AGENTS_DEFAULT_MODEL": [
        ("gpt-4o", "named with its provider"), ("anthropic:claude", "ANTHROPIC_API_KEY is not set"),
        ("openai:gpt-4o", "OPENAI_API_KEY"),
    ],
    "AI_AGENTS_JOB_MODEL": [("gpt-4o", "named with its provider"), ("gemini:flash", "GEMINI_API_KEY is not set")],
    "ANTHROPIC_API_KEY": [("klüssel", "visible ASCII")],
    "ANTHROPIC_BASE_URL": [("nonsense", "http or https")],
    "OPENAI_API_KEY": [("klüssel", "visible ASCII")],
    "OPENAI_BASE_URL": [("nonsense", "http or https"), ("http://a b/", "URL"), ("https://k:pass-word@x/v1", "no user")],
    "OLLAMA_HOST": [("ftp://box", "http or https"), ("a b", "URL")],
    "GEMINI_API_KEY": [("klüssel", "visible ASCII")],
    "GEMINI_BASE_URL": [("nonsense", "http or https")],
    "AI_AGENTS_PROVIDERS": [
        ("/nowhere/providers.toml", "there is no file /nowhere/providers.toml"), ("[1]", "a list of providers"),
        ("{", "no JSON: "), ('[{"name": "UP", "preset": "groq"}]', "provider 1 (UP): name"),
    ],
    "AI_AGENTS_PRICES": [("/nowhere/prices.json", "there is no file"), ('{"openai": {}}', "`provider:model`")],
    "AI_AGENTS_ECHO_DELAY_S": [("soon", "should be a number"), ("11", "at most 10")],
    "AI_AGENTS_MAX_JSON_DEPTH": [("3", "at least 4"), ("501", "at most 500")],
    "AI_AGENTS_RUN_TIMEOUT_S": [("0", "more than 0"), ("nan", "finite")],
    "AI_AGENTS_TOOL_TIMEOUT_S": [("0", "more than 0")],
    "AI_AGENTS_TOOL_ROUNDS": [("0", "at least 1")],
    "AI_AGENTS_APPROVAL_TIMEOUT_S": [("inf", "finite")],
    "AI_AGENTS_MCP_CONNECT_TIMEOUT_S": [("0", "more than 0")],
    "AI_AGENTS_JUDGE_FAILS_OPEN": [("perhaps", "true or false")],
    "AI_AGENTS_AUTO_TITLE": [("sometimes", "true or false")],
    "AI_AGENTS_OUTBOUND_ALLOW": [("https://api.internal", "like api.internal or 127.0.0.1:9000")],
    "AI_AGENTS_OUTBOUND_TRACE": [("https://api.internal", "like api.internal or 127.0.0.1:9000")],
    "OTEL_EXPORTER_OTLP_ENDPOINT": [("collector:4317", "http or https"), ("http://u:pass-word@x", "no user")],
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": [("nonsense", "http or https")],
    "OTEL_TRACES_SAMPLER": [("sometimes", "should be 'always_on', ")],
    "OTEL_TRACES_SAMPLER_ARG": [("half", "should be a number"), ("2", "at most 1")],
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": [("perhaps", "should be 'true', 'false', ")],
    "AI_AGENTS_RETAIN_THREADS_DAYS": [("0", "at least 1"), ("99999999", "at most 36500")],
    "AI_AGENTS_RETAIN_FILES_DAYS": [("1.5", "whole number")],
    "AI_AGENTS_RETAIN_LOG_DAYS": [("0", "at least 1")],
    "AI_AGENTS_MAX_COST_PER_DAY": [("-1", "at least 0"), ("inf", "finite")],
    **{
        f"AI_AGENTS_{name}": [("many", "should be a whole number"), ("-1", "at least"), ("9" * 20, "at most 9007199")]
        for name in (
            "MAX_BODY_BYTES", "MAX_CONTENT_CHARACTERS", "MAX_METADATA_BYTES", "MAX_FILE_BYTES", "MAX_HEADER_BYTES",
            "MAX_CONNECTIONS", "MAX_REQUESTS_PER_MINUTE", "MAX_STREAMS_PER_USER", "MAX_RUNS_PER_USER",
            "MAX_FILES_BYTES_PER_USER", "MAX_THREADS_PER_USER", "MAX_THREAD_ROWS", "MAX_AGENT_VERSIONS_PER_USER",
            "MAX_TOKENS_PER_DAY", "MAX_UPSTREAM_CONNECTIONS", "MAX_HELD_RUNS", "MAX_TOOL_RESULT_BYTES",
            "OUTBOUND_MAX_BYTES",
        )
    },
}  # fmt: skip
# What is tried when the program listens or writes, not before.
ANYTHING = {
    "AI_AGENTS_HOST", "AI_AGENTS_VAR_DIR", "AI_AGENTS_FILES_DIR", "AI_AGENTS_SECRETS_DIR",
    "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_SERVICE_NAME",
}  # fmt: skip


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory without `.env`, and no setting in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in [*WRONG, *ANYTHING, "AI_AGENTS_PORT", "HOST"]:
        monkeypatch.delenv(name, raising=False)


def check() -> None:
    settings = read_settings()
    check_models(settings, build_providers(settings))


@pytest.mark.parametrize("variable", WRONG)
def test_a_value_that_cannot_work_is_refused_with_its_variable_and_never_repeated(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value, expected in WRONG[variable]:
        monkeypatch.setenv(variable, value)
        with pytest.raises(AIAgentsError) as refused:
            check()
        said = str(refused.value)
        assert variable in said, value
        assert expected in said, value
        assert "Input should" not in said, value
        assert "pass-word" not in said, value


def test_every_setting_has_a_wrong_value_in_the_table() -> None:
    from app.settings.reading import variables_of

    tried = {*WRONG, *ANYTHING}
    assert [field for field in Settings.model_fields if not tried & set(variables_of(field))] == []


def test_the_variable_that_was_read_is_blamed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AI_AGENTS_PORT=http\n")
    with pytest.raises(CannotStart, match=r"^AI_AGENTS_PORT: should be a whole number$"):
        read_settings()
    monkeypatch.setenv("AI_AGENTS_SECRETS_DIR", str(tmp_path))
    (tmp_path / "ai_agents_encryption_key").write_text("short\n")
    with pytest.raises(CannotStart, match=f"{tmp_path}/ai_agents_encryption_key: an encryption key has at least 16"):
        read_settings()
    monkeypatch.setenv("PORT", "https")
    with pytest.raises(CannotStart, match=r"^PORT: should be a whole number\n"):
        read_settings()


def test_names_that_nothing_reads_are_told_with_the_nearest_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_text("AI_AGENTS_REDIS_URI=redis://x\nUNRELATED=1\nAI_AGENTS_URL=http://x\n")
    for name in (
        "AI_AGENTS_PROT",
        "OPENAI_API_KYE",
        "ANTHROPIC_KEY",
        "OLLAMA_BASE_URL",
        "OPENAI_ORG_ID",
        "OLLAMA_MODELS",
    ):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AI_AGENTS_SOMETHING_ELSE_ALTOGETHER", "x")

    assert unknown_names() == [
        "AI_AGENTS_PROT is not read: did you mean AI_AGENTS_PORT?",
        "AI_AGENTS_REDIS_URI in .env is not read: did you mean AI_AGENTS_REDIS_URL?",
        "AI_AGENTS_SOMETHING_ELSE_ALTOGETHER is not read: see docs/settings.md for all names",
        "ANTHROPIC_KEY is not read: did you mean ANTHROPIC_API_KEY?",
        "OLLAMA_BASE_URL is not read: did you mean OLLAMA_HOST?",
        "OPENAI_API_KYE is not read: did you mean OPENAI_API_KEY?",
    ]
    with pytest.raises(SystemExit):
        main(["jobs", "list"])
    assert "warning: AI_AGENTS_PROT is not read: did you mean AI_AGENTS_PORT?\n" in capsys.readouterr().err


async def test_folders_and_models_that_cannot_be_used_refuse_the_start(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    async def refusal(error: type[AIAgentsError], **changes: object) -> str:
        with pytest.raises(error) as refused:
            async with open_container(settings_for(sqlite_url, tmp_path, **changes)):
                pass
        return str(refused.value)

    said = await refusal(StorageUnavailable, files_dir=tmp_path / "taken" / "files")
    assert said.startswith(f"The folder of files {tmp_path / 'taken' / 'files'} cannot be used: ")
    said = await refusal(InvalidRequest, default_model="opnai:gpt")
    assert said.startswith("AI_AGENTS_DEFAULT_MODEL names an unknown provider; known are anthropic, ")
    assert said.endswith("Did you mean openai?")
    said = await refusal(InvalidRequest, job_model="house:small")
    assert said.startswith("AI_AGENTS_JOB_MODEL names an unknown provider")


def test_a_key_file_that_holds_no_key_is_named(tmp_path: Path) -> None:
    settings = Settings(var_dir=tmp_path / "var")
    settings.var_dir.mkdir()
    settings.admin_key_file.write_text("short\n")
    (settings.var_dir / "encryption.key").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(CannotStart, match=r"admin\.key is too short: it has at least 8 characters"):
        admin_key(settings)
    with pytest.raises(CannotStart, match=r"encryption\.key holds no key: it is no text"):
        encryption_keys(settings)
    with pytest.raises(CannotStart, match=r"admin\.key cannot be read or made .* set AI_AGENTS_ADMIN_KEY"):
        admin_key(Settings(var_dir=settings.admin_key_file))


def test_a_port_in_use_and_an_address_of_another_machine_are_one_sentence(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    [taken] = listen("127.0.0.1", free_port())
    taken.listen()
    port = taken.getsockname()[1]
    try:
        with pytest.raises(SystemExit) as ended:
            main(["serve", "--host", "127.0.0.1", "--port", str(port)])
    finally:
        taken.close()

    assert str(ended.value) == (
        f"The service cannot listen on 127.0.0.1, port {port}: another program listens there; "
        "PORT or --port choose another one, and 0 a free one."
    )
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "var").exists()
    with pytest.raises(CannotStart, match="this machine has no such address"):
        listen("192.0.2.1", 8000)


def test_a_line_of_the_file_that_sets_nothing_is_told_without_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text('# a comment\n\nexport A=1\nAI_AGENTS_ADMIN_KEY: secret-of-yaml\nB="open\n')

    assert unknown_names() == [
        "Line 4 of .env is not read: a line is like NAME=value.",
        "Line 5 of .env is not read: a line is like NAME=value.",
    ]
    read_settings()
    assert caplog.text == ""


def test_commands_before_the_first_start_say_what_to_do(capfd: pytest.CaptureFixture[str]) -> None:
    for command in (["jobs", "list"], ["jobs", "retry"], ["audit", "verify"], ["worker", "--check"], ["export"]):
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert isinstance(ended.value.code, str), command
        assert "\n" not in ended.value.code, command
    assert capfd.readouterr().err == ""


def test_the_service_and_a_worker_with_another_folder_of_files_end_at_their_start(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker.logs import configure_logs
    from worker.main import _check_settings

    async def start(directory: Path) -> None:
        async with open_container(settings_for(sqlite_url, directory)):
            pass

    asyncio.run(start(tmp_path / "one"))
    with pytest.raises(StorageUnavailable, match="is not that of this database"):
        asyncio.run(start(tmp_path / "two"))

    settings = {"DATABASE_URL": sqlite_url, "REDIS_URL": "redis://127.0.0.1:1", "VAR_DIR": str(tmp_path / "one")}
    for name, value in settings.items():
        monkeypatch.setenv(f"AI_AGENTS_{name}", value)
    _check_settings()
    monkeypatch.setenv("AI_AGENTS_VAR_DIR", str(tmp_path / "two"))
    with pytest.raises(SystemExit, match=f"The folder of files {tmp_path}/two/files is not that of this database"):
        _check_settings()
    monkeypatch.setenv("PORT", "abc")
    for first in (configure_logs, _check_settings):
        with pytest.raises((CannotStart, SystemExit), match="PORT: should be a whole number"):
            first()
