"""AI Agents: a provider-agnostic agent framework.

- `connect` opens a database; `AgentStore`, `ThreadStore`, `MessageStore`, `RunStore`, `FileStore` read and write it.
- `AgentRunner` runs agents in threads. Its users have roles, which `RoleAuth` gives. A run is a stream of `Event`s.
- `get_provider` and `get_memory_strategy` give what runs need; `Provider`, `MemoryStrategy`, `Guardrail` and `Tool` are
  what your own derive from, and `register_…` gives them names. `tool` makes a tool of a typed function.
- Every error is an `AIAgentsError`; `help("ai_agents.core.exceptions")` draws the tree.
- `ai_agents.sync` does the same without `await`, `ai_agents.testing` has fakes for tests, `ai_agents.client` talks to
  a running service.

docs/library.md shows all of it. Names are imported when they are first asked for, so that `import ai_agents` is quick
and loads no provider's SDK.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_agents import client, sync, testing
    from ai_agents.agents import AgentStore, NotRegistered
    from ai_agents.attachments.files import Attachments
    from ai_agents.attachments.storage import BlobStore, DiskStore, ObjectStore, open_blob_store
    from ai_agents.auth.approvals import Approvals
    from ai_agents.auth.limits import Limits
    from ai_agents.auth.roles import RoleAuth
    from ai_agents.auth.use import UseRights
    from ai_agents.connection import connect
    from ai_agents.context.catalogue import ModelCatalogue, ModelFacts, ModelPrice
    from ai_agents.core.events import Event, EventType
    from ai_agents.core.exceptions import (
        AgentDeleted,
        AgentNotFound,
        AIAgentsError,
        BlobMissing,
        BudgetExceeded,
        Conflict,
        ContextExceeded,
        ContextOverflow,
        DatabaseBusy,
        DatabaseFull,
        DatabaseUnavailable,
        DeliveryNotFound,
        FileNotFound,
        FileTooLarge,
        GuardrailBlocked,
        IdempotencyKeyReused,
        InvalidCursor,
        InvalidEventId,
        InvalidIdempotencyKey,
        InvalidOutput,
        InvalidRequest,
        JobNotFound,
        KeyNotFound,
        LastOwner,
        LogTrimmed,
        MessageNotFound,
        NotFound,
        Overloaded,
        PackageMissing,
        PermissionDenied,
        PreconditionFailed,
        ProviderError,
        ProviderNotConfigured,
        ProviderNotFound,
        ProviderRateLimited,
        ProviderRejected,
        ProviderTimeout,
        ProviderTruncated,
        QueueFull,
        QuotaExceeded,
        RequestError,
        RoleNotFound,
        RunCancelled,
        RunError,
        RunInterrupted,
        RunNotFound,
        RunTimeout,
        RunWaiting,
        SecondProcess,
        StorageFull,
        StorageUnavailable,
        ThreadBusy,
        ThreadNotFound,
        TokenNotFound,
        ToolCallNotFound,
        ToolLoopLimit,
        ToolNotFound,
        TooManyAtOnce,
        Unavailable,
        UnknownFinishReason,
        UnsupportedAttachment,
        UnsupportedFile,
        WebhookNotFound,
    )
    from ai_agents.core.rows import Agent, File, Job, Message, Page, Run, RunOverrides, Thread
    from ai_agents.core.tracing import trace_content
    from ai_agents.core.types import (
        FilePart,
        ModelEvent,
        ModelMessage,
        ModelRequest,
        ModelResponse,
        ModelSettings,
        Part,
        PartDelta,
        PartEnd,
        PartStart,
        ReasoningPart,
        ResponseEnd,
        StoredSummary,
        TextPart,
        ToolCallPart,
        ToolDefinition,
        ToolResultPart,
        Usage,
    )
    from ai_agents.guardrails.base import Guardrail, PatternGuardrail
    from ai_agents.guardrails.registry import register_guardrail
    from ai_agents.memory.base import HistoryReader, MemoryStrategy, Window
    from ai_agents.memory.registry import get_memory_strategy, list_memory_strategies, register_memory_strategy
    from ai_agents.providers.base import Capabilities, Provider
    from ai_agents.providers.registry import ProviderPool, get_provider, list_providers, register_provider
    from ai_agents.runner.client_calls import GivenResult
    from ai_agents.runner.handle import DatabaseHandle
    from ai_agents.runner.limits import RunLimits
    from ai_agents.runner.outcomes import RunResult, Started
    from ai_agents.runner.runner import AgentRunner
    from ai_agents.store.credentials import CredentialStore
    from ai_agents.store.feedback import FeedbackStore
    from ai_agents.store.files import FileStore
    from ai_agents.store.message_store import MessageStore
    from ai_agents.store.model_calls import UsageStore
    from ai_agents.store.run_lists import RunStore
    from ai_agents.store.sealing import Sealer
    from ai_agents.store.threads import ThreadStore
    from ai_agents.streams.sse import sse_response, stream_as_sse
    from ai_agents.tools.base import Tool, ToolContext, ToolError
    from ai_agents.tools.function_tools import FunctionTool, tool
    from ai_agents.tools.registry import ToolRegistry, load_tools, register_tool
    from ai_agents.workers.queue import configure_queue, queue_summarization, queue_title_generation

    __version__: str

# The public names by the module that defines them.
_NAMES = {
    "agents": "AgentStore NotRegistered",
    "attachments.files": "Attachments",
    "attachments.storage": "BlobStore DiskStore ObjectStore open_blob_store",
    "auth.approvals": "Approvals",
    "auth.limits": "Limits",
    "auth.roles": "RoleAuth",
    "auth.use": "UseRights",
    "connection": "connect",
    "context.catalogue": "ModelCatalogue ModelFacts ModelPrice",
    "core.events": "Event EventType",
    "core.exceptions": (
        "AIAgentsError AgentDeleted AgentNotFound BlobMissing BudgetExceeded Conflict ContextExceeded ContextOverflow "
        "DatabaseBusy DatabaseFull DatabaseUnavailable DeliveryNotFound FileNotFound FileTooLarge GuardrailBlocked "
        "IdempotencyKeyReused InvalidCursor InvalidEventId InvalidIdempotencyKey InvalidOutput InvalidRequest "
        "JobNotFound KeyNotFound LastOwner LogTrimmed MessageNotFound NotFound Overloaded PackageMissing "
        "PermissionDenied PreconditionFailed ProviderError ProviderNotConfigured ProviderNotFound ProviderRateLimited "
        "ProviderRejected ProviderTimeout ProviderTruncated QueueFull QuotaExceeded RequestError RoleNotFound "
        "RunCancelled RunError RunInterrupted RunNotFound RunTimeout RunWaiting SecondProcess StorageFull "
        "StorageUnavailable ThreadBusy ThreadNotFound TokenNotFound TooManyAtOnce ToolCallNotFound ToolLoopLimit "
        "ToolNotFound Unavailable UnknownFinishReason UnsupportedAttachment UnsupportedFile WebhookNotFound"
    ),
    "core.rows": "Agent File Job Message Page Run RunOverrides Thread",
    "core.tracing": "trace_content",
    "core.types": (
        "FilePart ModelEvent ModelMessage ModelRequest ModelResponse ModelSettings Part PartDelta PartEnd PartStart "
        "ReasoningPart ResponseEnd StoredSummary TextPart ToolCallPart ToolDefinition ToolResultPart Usage"
    ),
    "guardrails.base": "Guardrail PatternGuardrail",
    "guardrails.registry": "register_guardrail",
    "memory.base": "HistoryReader MemoryStrategy Window",
    "memory.registry": "get_memory_strategy list_memory_strategies register_memory_strategy",
    "providers.base": "Capabilities Provider",
    "providers.registry": "ProviderPool get_provider list_providers register_provider",
    "runner.client_calls": "GivenResult",
    "runner.handle": "DatabaseHandle",
    "runner.limits": "RunLimits",
    "runner.outcomes": "RunResult Started",
    "runner.runner": "AgentRunner",
    "store.credentials": "CredentialStore",
    "store.feedback": "FeedbackStore",
    "store.files": "FileStore",
    "store.message_store": "MessageStore",
    "store.model_calls": "UsageStore",
    "store.run_lists": "RunStore",
    "store.sealing": "Sealer",
    "store.threads": "ThreadStore",
    "streams.sse": "sse_response stream_as_sse",
    "tools.base": "Tool ToolContext ToolError",
    "tools.function_tools": "FunctionTool tool",
    "tools.registry": "ToolRegistry load_tools register_tool",
    "workers.queue": "configure_queue queue_summarization queue_title_generation",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}
# Modules that are public themselves.
_MODULES = frozenset({"client", "sync", "testing"})

__all__ = [
    "AIAgentsError", "Agent", "AgentDeleted", "AgentNotFound", "AgentRunner", "AgentStore", "Approvals",
    "Attachments", "BlobMissing", "BlobStore", "BudgetExceeded", "Capabilities", "Conflict", "ContextExceeded",
    "ContextOverflow", "CredentialStore", "DatabaseBusy", "DatabaseFull", "DatabaseHandle", "DatabaseUnavailable",
    "DeliveryNotFound", "DiskStore", "Event", "EventType", "FeedbackStore", "File", "FileNotFound", "FilePart",
    "FileStore", "FileTooLarge", "FunctionTool", "GivenResult", "Guardrail", "GuardrailBlocked", "HistoryReader",
    "IdempotencyKeyReused", "InvalidCursor", "InvalidEventId", "InvalidIdempotencyKey", "InvalidOutput",
    "InvalidRequest", "Job", "JobNotFound", "KeyNotFound", "LastOwner", "Limits", "LogTrimmed", "MemoryStrategy",
    "Message", "MessageNotFound", "MessageStore", "ModelCatalogue", "ModelEvent", "ModelFacts", "ModelMessage",
    "ModelPrice", "ModelRequest", "ModelResponse", "ModelSettings", "NotFound", "NotRegistered", "ObjectStore",
    "Overloaded", "PackageMissing", "Page", "Part", "PartDelta", "PartEnd", "PartStart", "PatternGuardrail",
    "PermissionDenied", "PreconditionFailed", "Provider", "ProviderError", "ProviderNotConfigured",
    "ProviderNotFound", "ProviderPool", "ProviderRateLimited", "ProviderRejected", "ProviderTimeout",
    "ProviderTruncated", "QueueFull", "QuotaExceeded", "ReasoningPart", "RequestError", "ResponseEnd", "RoleAuth",
    "RoleNotFound", "Run", "RunCancelled", "RunError", "RunInterrupted", "RunLimits", "RunNotFound", "RunOverrides",
    "RunResult", "RunStore", "RunTimeout", "RunWaiting",
    "Sealer",
    "SecondProcess", "Started", "StorageFull", "StorageUnavailable", "StoredSummary", "TextPart", "Thread",
    "ThreadBusy", "ThreadNotFound", "ThreadStore", "TokenNotFound", "TooManyAtOnce", "Tool", "ToolCallNotFound",
    "ToolCallPart", "ToolContext", "ToolDefinition", "ToolError", "ToolLoopLimit", "ToolNotFound", "ToolRegistry",
    "ToolResultPart", "Unavailable", "UnknownFinishReason", "UnsupportedAttachment", "UnsupportedFile", "Usage",
    "UsageStore", "UseRights", "WebhookNotFound", "Window", "__version__", "client", "configure_queue", "connect",
    "get_memory_strategy", "get_provider", "list_memory_strategies", "list_providers", "load_tools",
    "open_blob_store", "queue_summarization", "queue_title_generation", "register_guardrail",
    "register_memory_strategy", "register_provider", "register_tool", "sse_response", "stream_as_sse", "sync",
    "testing", "tool", "trace_content",
]  # fmt: skip


if not TYPE_CHECKING:  # for type checkers a name that is not imported above is a mistake

    def __getattr__(name: str) -> Any:
        """Import a public name's module, once."""
        if name == "__version__":
            from importlib.metadata import version

            value: Any = version("ai-agents")
        elif name in _MODULES:
            value = import_module(f"{__name__}.{name}")
        elif (home := _HOMES.get(name)) is not None:
            value = getattr(import_module(f"{__name__}.{home}"), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """The public names, imported or not."""
        return sorted({*globals(), *__all__})
