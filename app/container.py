"""The service's wiring: settings in, open resources out. Nothing is wired anywhere else."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from pydantic import SecretStr

from ai_agents.attachments.files import Attachments
from ai_agents.attachments.storage import open_blob_store
from ai_agents.auth.roles import RoleAuth
from ai_agents.context.catalogue import ModelCatalogue
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.extras import require
from ai_agents.providers.registry import ProviderPool, list_providers
from ai_agents.runner.handle import DatabaseHandle, open_handle
from ai_agents.runner.preparation import RunLimits
from ai_agents.runner.process.executor import Background
from ai_agents.runner.runner import AgentRunner
from ai_agents.store.agents import AgentStore
from ai_agents.store.jobs import JobStore
from ai_agents.store.keys import KeyStore
from ai_agents.store.messages import MessageStore
from ai_agents.store.model_calls import UsageStore
from ai_agents.store.roles import RoleStore
from ai_agents.store.runs import RunStore
from ai_agents.store.sealing import Sealer
from ai_agents.store.threads import ThreadStore
from ai_agents.store.tickets import TicketStore
from ai_agents.tools.outbound import Outbound
from ai_agents.tools.registry import default_registry, load_tools
from ai_agents.tools.toolbox import Toolbox
from ai_agents.workers.background import InProcessJobs
from ai_agents.workers.job_context import JobContext, parse_model
from ai_agents.workers.jobs import JobRunner
from app.job_queue import CeleryJobs, retention_task
from app.key_files import admin_key, encryption_keys
from app.settings import Settings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")
ECHO = ("echo", "echo")
# The default provider is the first of these that has a key or an address.
_DEFAULT_MODELS = {"anthropic": "claude-sonnet-4-20250514", "openai": "gpt-4o", "ollama": "llama3.1"}


@dataclass(frozen=True, slots=True)
class Container:
    """The open resources that requests and jobs need."""

    settings: Settings
    conn: DatabaseHandle
    auth: RoleAuth
    agents: AgentStore
    threads: ThreadStore
    messages: MessageStore
    runs: RunStore
    roles: RoleStore
    keys: KeyStore
    tickets: TicketStore
    attachments: Attachments
    providers: ProviderPool
    models: ModelCatalogue
    usage: UsageStore
    jobs: JobStore
    job_runner: JobRunner
    tools: Toolbox
    runner: AgentRunner
    admin_key: bytes = field(repr=False)


@asynccontextmanager
async def open_container(settings: Settings) -> AsyncGenerator[Container]:
    """A container that is open as long as the context lasts. Raises `DatabaseUnavailable`, `InvalidRequest`."""
    key = admin_key(settings).encode()
    sealer = Sealer(encryption_keys(settings))
    await asyncio.to_thread(load_tools)
    providers = build_providers(settings)
    models = ModelCatalogue(settings.model_facts)
    blobs = open_blob_store(settings.files, settings.files_url)
    conn = await open_handle(settings.database, redis_url=settings.redis_url, pool_size=settings.database_pool_size)
    attachments = Attachments(conn, blobs, max_bytes=settings.max_file_bytes)
    toolbox = _toolbox(settings, conn, sealer)
    conn.executor.background = _background(settings, conn, attachments)
    try:
        await asyncio.to_thread(blobs.sweep)
        auth = RoleAuth(conn)
        runner = AgentRunner(
            conn,
            auth,
            providers=providers,
            tools=toolbox,
            models=models,
            limits=RunLimits(
                run_time_s=settings.run_timeout_s,
                tool_time_s=settings.tool_timeout_s,
                tool_rounds=settings.tool_rounds,
                tool_result_bytes=settings.max_tool_result_bytes,
                approval_s=settings.approval_timeout_s,
            ),
            blobs=blobs,
            auto_title=settings.auto_title,
            judges_fail_open=settings.judge_fails_open,
        )
        context = JobContext(conn.database, runner.contexts, parse_model(settings.job_model), attachments)
        yield Container(
            settings=settings,
            conn=conn,
            auth=auth,
            agents=AgentStore(conn),
            threads=ThreadStore(conn),
            messages=MessageStore(conn),
            runs=RunStore(conn),
            roles=RoleStore(conn),
            keys=KeyStore(conn),
            tickets=TicketStore(conn),
            attachments=attachments,
            providers=providers,
            models=models,
            usage=UsageStore(conn),
            jobs=JobStore(conn),
            job_runner=JobRunner(context, owner=conn.executor.owner),
            tools=toolbox,
            runner=runner,
            admin_key=key,
        )
    finally:
        await conn.close()
        await providers.aclose()
        await toolbox.outbound.aclose()


def _toolbox(settings: Settings, conn: DatabaseHandle, sealer: Sealer) -> Toolbox:
    outbound = Outbound(
        settings.outbound_allow.split(","),
        max_bytes=settings.outbound_max_bytes,
        connect_timeout_s=settings.mcp_connect_timeout_s,
    )
    return Toolbox(
        conn.database,
        default_registry,
        outbound=outbound,
        sealer=sealer,
    )


def _background(settings: Settings, conn: DatabaseHandle, attachments: Attachments) -> Background:
    """What runs the jobs: Celery workers if Redis is set, otherwise this process."""
    database = conn.database

    def wake(job_ids: Sequence[str]) -> None:
        if conn.executor.background is not None:
            conn.executor.background.wake(job_ids)

    periodic_tasks = [retention_task(database, settings.retention, wake)] if any(settings.retention.values()) else []
    if settings.redis_url is not None:
        require("celery")
        return CeleryJobs(database, settings.redis_url, periodic_tasks=periodic_tasks)
    model = parse_model(settings.job_model)
    return InProcessJobs(
        database, owner=conn.executor.owner, model=model, attachments=attachments, periodic_tasks=periodic_tasks
    )


def build_providers(settings: Settings) -> ProviderPool:
    """The providers with their settings. The default is the one that is set, or the first with a key, or `echo`.

    Raises `InvalidRequest` if the provider that is set does not exist.
    """
    options: dict[str, dict[str, Any]] = {
        "anthropic": {"api_key": _secret(settings.anthropic_api_key), "base_url": settings.anthropic_base_url},
        "openai": {"api_key": _secret(settings.openai_api_key), "base_url": settings.openai_base_url},
        "ollama": {"base_url": settings.ollama_host},
    }
    options_of_all = {**options, "echo": {"delay_s": settings.echo_delay_s}}
    pool = ProviderPool(options_of_all, default=_default_model(settings, options))
    default = next((status for status in pool.configured() if status.name == pool.default[0]), None)
    if default is None:
        known = ", ".join(list_providers())
        raise InvalidRequest(f"AI_AGENTS_DEFAULT_MODEL names an unknown provider; known are {known}.")
    if not default.configured:
        log.warning(
            "the default provider is not configured: agents that name no other cannot answer", name=default.name
        )
    return pool


def _default_model(settings: Settings, options: dict[str, dict[str, Any]]) -> tuple[str, str | None]:
    if settings.default_model is not None:
        provider, _, model = settings.default_model.partition(":")
        return provider, model
    for provider, given in options.items():
        if any(given.values()):
            return provider, _DEFAULT_MODELS[provider]
    return ECHO


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()
