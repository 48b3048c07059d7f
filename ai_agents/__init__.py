"""AI Agents: a provider-agnostic agent framework.

Names are imported when they are first asked for, so that `import ai_agents` is quick and loads no provider's SDK.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_agents.agents import AgentStore, NotRegistered
    from ai_agents.attachments.files import Attachments
    from ai_agents.attachments.storage import DiskStore, ObjectStore
    from ai_agents.auth.approvals import Approvals
    from ai_agents.auth.roles import RoleAuth
    from ai_agents.connection import connect
    from ai_agents.context.catalogue import ModelCatalogue, ModelFacts, ModelPrice
    from ai_agents.core.events import Event
    from ai_agents.core.exceptions import AIAgentsError, BudgetExceeded, PermissionDenied, ProviderNotConfigured
    from ai_agents.core.types import ToolDefinition
    from ai_agents.guardrails.base import Guardrail, PatternGuardrail
    from ai_agents.guardrails.registry import register_guardrail
    from ai_agents.memory.base import MemoryStrategy
    from ai_agents.memory.registry import get_memory_strategy, register_memory_strategy
    from ai_agents.providers.base import Provider
    from ai_agents.providers.registry import ProviderPool, get_provider, register_provider
    from ai_agents.runner.handle import DatabaseHandle
    from ai_agents.runner.preparation import RunLimits
    from ai_agents.runner.runner import AgentRunner
    from ai_agents.store.credentials import CredentialStore
    from ai_agents.store.feedback import FeedbackStore
    from ai_agents.store.files import FileStore
    from ai_agents.store.message_store import MessageStore
    from ai_agents.store.model_calls import UsageStore
    from ai_agents.store.runs import RunStore
    from ai_agents.store.threads import ThreadStore
    from ai_agents.streams.sse import sse_response, stream_as_sse
    from ai_agents.tools.base import Tool, ToolContext, ToolError
    from ai_agents.tools.function_tools import FunctionTool, tool
    from ai_agents.tools.registry import ToolRegistry, load_tools, register_tool

# The public names by the module that defines them.
_NAMES = {
    "agents": "AgentStore NotRegistered",
    "attachments.files": "Attachments",
    "attachments.storage": "DiskStore ObjectStore",
    "auth.approvals": "Approvals",
    "auth.roles": "RoleAuth",
    "connection": "connect",
    "context.catalogue": "ModelCatalogue ModelFacts ModelPrice",
    "core.events": "Event",
    "core.exceptions": "AIAgentsError BudgetExceeded PermissionDenied ProviderNotConfigured",
    "core.types": "ToolDefinition",
    "guardrails.base": "Guardrail PatternGuardrail",
    "guardrails.registry": "register_guardrail",
    "memory.base": "MemoryStrategy",
    "memory.registry": "get_memory_strategy register_memory_strategy",
    "providers.base": "Provider",
    "providers.registry": "ProviderPool get_provider register_provider",
    "runner.handle": "DatabaseHandle",
    "runner.preparation": "RunLimits",
    "runner.runner": "AgentRunner",
    "store.credentials": "CredentialStore",
    "store.feedback": "FeedbackStore",
    "store.files": "FileStore",
    "store.message_store": "MessageStore",
    "store.model_calls": "UsageStore",
    "store.runs": "RunStore",
    "store.threads": "ThreadStore",
    "streams.sse": "sse_response stream_as_sse",
    "tools.base": "Tool ToolContext ToolError",
    "tools.function_tools": "FunctionTool tool",
    "tools.registry": "ToolRegistry load_tools register_tool",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "AIAgentsError", "AgentRunner", "AgentStore", "Approvals", "Attachments", "BudgetExceeded", "CredentialStore",
    "DatabaseHandle", "DiskStore",
    "Event", "FeedbackStore", "FileStore", "FunctionTool", "Guardrail", "MemoryStrategy", "MessageStore",
    "ModelCatalogue",
    "ModelFacts", "ModelPrice", "NotRegistered", "ObjectStore", "PatternGuardrail", "PermissionDenied", "Provider",
    "ProviderNotConfigured", "ProviderPool", "RoleAuth", "RunLimits", "RunStore", "ThreadStore", "Tool", "ToolContext",
    "ToolDefinition", "ToolError",
    "ToolRegistry", "UsageStore", "connect", "get_memory_strategy", "get_provider", "load_tools", "register_guardrail",
    "register_memory_strategy", "register_provider", "register_tool", "sse_response", "stream_as_sse", "tool",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name's module, once."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value
