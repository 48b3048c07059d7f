"""The service's wiring: settings in, open resources out. Nothing is wired anywhere else."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from ai_agents.attachments.files import Attachments
from ai_agents.attachments.storage import BlobStore, open_blob_store
from ai_agents.auth.approvals import Approvals
from ai_agents.auth.limits import Limits, StoredLimits
from ai_agents.auth.roles import RoleAuth
from ai_agents.auth.use import UseRights
from ai_agents.context.catalogue import ModelCatalogue
from ai_agents.context.providers import StoredProviders
from ai_agents.core.exceptions import DatabaseUnavailable, InvalidRequest
from ai_agents.core.extras import require
from ai_agents.core.upstream import UpstreamSlots
from ai_agents.core.user_locks import UserLocks
from ai_agents.providers.model_lists import ModelLists
from ai_agents.providers.registry import ProviderPool
from ai_agents.providers.specs import PROVIDER_TYPES
from ai_agents.runner.handle import DatabaseHandle, open_handle
from ai_agents.runner.limits import RunLimits
from ai_agents.runner.process.executor import Background
from ai_agents.runner.runner import AgentRunner
from ai_agents.store.agents import UncheckedAgents
from ai_agents.store.audit import AuditStore
from ai_agents.store.credentials import CredentialStore
from ai_agents.store.feedback import FeedbackStore
from ai_agents.store.jobs import JobStore
from ai_agents.store.keys import KeyStore, id_of_environment_key
from ai_agents.store.message_store import MessageStore
from ai_agents.store.model_calls import UsageStore
from ai_agents.store.roles import RoleStore
from ai_agents.store.run_lists import RunStore
from ai_agents.store.sealing import Sealer
from ai_agents.store.threads import ThreadStore
from ai_agents.store.tickets import TicketStore
from ai_agents.store.tokens import TokenStore
from ai_agents.store.users import UserStore
from ai_agents.store.webhooks import WebhookStore
from ai_agents.tools.outbound import Outbound
from ai_agents.tools.registry import default_registry, load_tools
from ai_agents.tools.toolbox import Toolbox
from ai_agents.workers.background import InProcessJobs
from ai_agents.workers.job_context import JobContext
from ai_agents.workers.jobs import JobRunner
from ai_agents.workers.stored_webhooks import StoredWebhooks
from app.audit_notes import AuditNotes
from app.descriptors import share_descriptors
from app.job_queue import CeleryJobs
from app.key_files import admin_key, encryption_keys, make_own_files_private
from app.patience import Patience
from app.settings import Settings

if TYPE_CHECKING:
    from app.oidc.verifier import JwtVerifier

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")
ECHO = ("echo", "echo")


class Container:
    """The open resources that requests and jobs need."""

    def __init__(
        self,
        settings: Settings,
        conn: DatabaseHandle,
        providers: ProviderPool,
        tools: Toolbox,
        blobs: BlobStore,
        *,
        admin_key: bytes,
    ) -> None:
        self.settings = settings
        self.conn = conn
        self.providers = providers
        # A tool that an admin made is closed to others until there is a role on it.
        self.use_rights = UseRights(closed=["tool"])
        self.limits = Limits(settings.user_limits)
        self.user_locks = UserLocks(conn.database.dialect)
        self.stored_limits = StoredLimits(conn.database, self.limits)
        self.stored_webhooks = StoredWebhooks(conn.database)
        self.stored_providers = StoredProviders(conn.database, providers, self.use_rights, tools.sealer)
        self.model_lists = ModelLists(providers)
        self.tools = tools
        self.admin_key = admin_key
        self.admin_key_id = id_of_environment_key(admin_key)
        self.auth = RoleAuth(conn)
        self.agents = UncheckedAgents(conn)
        self.threads = ThreadStore(conn)
        self.messages = MessageStore(conn)
        self.feedback = FeedbackStore(conn)
        self.approvals = Approvals(conn)
        self.runs = RunStore(conn)
        self.roles = RoleStore(conn)
        self.keys = KeyStore(conn)
        self.tokens = TokenStore(conn)
        self.tickets = TicketStore(conn)
        self.jwts = _jwt_verifier(settings)
        self.usage = UsageStore(conn)
        self.jobs = JobStore(conn)
        self.users = UserStore(conn)
        self.webhooks = WebhookStore(conn)
        self.credentials = CredentialStore(conn, tools.sealer)
        self.audit_log = AuditStore(conn)
        self.audit = AuditNotes(conn.database)
        self.models = ModelCatalogue(settings.model_facts, servers=providers)
        self.attachments = Attachments(conn, blobs, max_bytes=settings.max_file_bytes)
        conn.executor.background = _background(settings, conn, self.attachments, tools)
        self.runner = AgentRunner(
            conn,
            self.auth,
            providers=providers,
            use_rights=self.use_rights,
            tools=tools,
            models=self.models,
            limits=_run_limits(settings),
            user_limits=self.limits,
            blobs=blobs,
            auto_title=settings.auto_title,
            judges_fail_open=settings.judge_fails_open,
        )
        contexts, outbound, sealer = self.runner.contexts, tools.outbound, tools.sealer
        context = JobContext(
            conn.database, contexts, settings.job_model, self.attachments, outbound=outbound, sealer=sealer
        )
        self.job_runner = JobRunner(context, owner=conn.executor.owner)


@asynccontextmanager
async def open_container(settings: Settings, *, patience: Patience | None = None) -> AsyncGenerator[Container]:
    """A container that is open as long as the context lasts. With patience it waits for a database that comes back.

    Raises `CannotStart`, `InvalidRequest`, `StorageUnavailable`, `DatabaseUnavailable`.
    """
    for path in make_own_files_private(settings):
        log.info("other users of this machine can no longer read this", path=str(path))
    key = admin_key(settings).encode()
    sealer = Sealer(encryption_keys(settings))
    await asyncio.to_thread(load_tools)
    providers = build_providers(settings)
    check_models(settings, providers)
    blobs = open_blob_store(settings.files, settings.files_url)
    outbound = Outbound(
        settings.outbound_allow.split(","),
        max_bytes=settings.outbound_max_bytes,
        connect_timeout_s=settings.mcp_connect_timeout_s,
        trace=settings.outbound_trace.split(","),
    )
    connect = partial(_open_handle, settings)
    conn = await connect() if patience is None else await patience.until_opened(connect)
    toolbox = Toolbox(conn.database, default_registry, outbound=outbound, sealer=sealer)
    opened = AsyncExitStack()
    try:
        container = Container(settings, conn, providers, toolbox, blobs, admin_key=key)
        if await conn.database.is_empty():
            raise DatabaseUnavailable("The database has no tables yet: run `ai-agents migrate` first.")
        await container.attachments.open()
        opened.push_async_callback(container.audit.close)
        opened.push_async_callback(container.stored_providers.aclose)
        if container.jwts is not None:
            opened.push_async_callback(container.jwts.keys.aclose)
            container.jwts.keys.ask_soon()
        if await container.stored_providers.open():
            _check_known(settings, providers)
        opened.push_async_callback(container.stored_limits.aclose)
        await container.stored_limits.open()
        opened.push_async_callback(container.stored_webhooks.aclose)
        await container.stored_webhooks.open()
        await asyncio.to_thread(container.attachments.blobs.sweep)
        yield container
    finally:
        await opened.aclose()
        await conn.close()
        await providers.aclose()
        await outbound.aclose()


def _run_limits(settings: Settings) -> RunLimits:
    return RunLimits(
        run_time_s=settings.run_timeout_s,
        tool_time_s=settings.tool_timeout_s,
        tool_rounds=settings.tool_rounds,
        tool_result_bytes=settings.max_tool_result_bytes,
        approval_s=settings.approval_timeout_s,
    )


async def _open_handle(settings: Settings) -> DatabaseHandle:
    return await open_handle(
        settings.database,
        redis_url=settings.redis_url,
        pool_size=settings.database_pool_size,
        direct_url=settings.database_direct_url,
        slots=UpstreamSlots(share_descriptors(settings).upstream, max_held=settings.max_held_runs),
    )


def _jwt_verifier(settings: Settings) -> "JwtVerifier | None":
    """What checks the JWTs of the issuer, if one is set."""
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        return None
    require("joserfc")
    from app.oidc.verifier import JwtVerifier, parse_admin_claim

    claim = settings.oidc_admin_claim
    admin_claim = None if claim is None else parse_admin_claim(claim)
    return JwtVerifier(settings.oidc_issuer, settings.oidc_audience, admin_claim=admin_claim)


def _background(settings: Settings, conn: DatabaseHandle, attachments: Attachments, tools: Toolbox) -> Background:
    """What runs the jobs: Celery workers if Redis is set, otherwise this process."""
    if settings.redis_url is not None:
        require("celery")
        return CeleryJobs(conn.database, settings.redis_url, retention=settings.retention)
    return InProcessJobs(
        conn.database,
        owner=conn.executor.owner,
        model=settings.job_model,
        attachments=attachments,
        retention=settings.retention,
        outbound=tools.outbound,
        sealer=tools.sealer,
    )


def build_providers(settings: Settings) -> ProviderPool:
    """The providers with their settings. The default is the one that is set, or the first with a key, or `echo`.

    Raises `InvalidRequest` for a provider of the file with the name of a built-in one.
    """
    options: dict[str, dict[str, Any]] = {**settings.provider_options, "echo": {"delay_s": settings.echo_delay_s}}
    return ProviderPool(options, default=_default_model(settings), specs=settings.provider_specs)


def check_models(settings: Settings, pool: ProviderPool) -> None:
    """Raises `InvalidRequest` where a model of the settings is one of a provider that the settings leave without a key.

    A provider that is not known yet may be in the database.
    """
    for variable, model in _models_of(settings):
        status = pool.find(model.partition(":")[0])
        if status is not None and status.reason is not None and status.source != "database":
            raise InvalidRequest(f"{variable} names the provider {status.name}, which lacks something. {status.reason}")


def _check_known(settings: Settings, pool: ProviderPool) -> None:
    """Raises `InvalidRequest` if a provider that is set does not exist. All providers are known now."""
    for variable, model in _models_of(settings):
        if pool.find(model.partition(":")[0]) is None:
            near = get_close_matches(model.partition(":")[0], pool.names(), 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise InvalidRequest(f"{variable} names an unknown provider; known are {', '.join(pool.names())}.{hint}")
    default = pool.find(pool.default[0])
    if default is not None and default.reason is not None:
        log.warning(
            "the default provider is not configured: agents that name no other cannot answer",
            name=default.name,
            reason=default.reason,
        )


def _models_of(settings: Settings) -> list[tuple[str, str]]:
    """The models that the settings name, with their variables."""
    named = (("AI_AGENTS_DEFAULT_MODEL", settings.default_model), ("AI_AGENTS_JOB_MODEL", settings.job_model))
    return [(variable, model) for variable, model in named if model is not None]


def _default_model(settings: Settings) -> tuple[str, str | None]:
    if settings.default_model is not None:
        provider, _, model = settings.default_model.partition(":")
        return provider, model
    for provider, given in settings.provider_options.items():
        if any(given.values()):
            return provider, PROVIDER_TYPES[provider].default_model
    return ECHO
