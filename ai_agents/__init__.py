"""AI Agents: a provider-agnostic agent framework.

Names are imported when they are first asked for, so that `import ai_agents` is quick and loads no provider's SDK.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_agents.attachments.files import Attachments
    from ai_agents.attachments.storage import DiskStore, ObjectStore
    from ai_agents.auth.roles import RoleAuth
    from ai_agents.connection import connect
    from ai_agents.context.catalogue import ModelCatalogue, ModelFacts, ModelPrice
    from ai_agents.core.events import Event
    from ai_agents.core.exceptions import AIAgentsError, PermissionDenied, ProviderNotConfigured
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
    from ai_agents.store.agents import AgentStore
    from ai_agents.store.files import FileStore
    from ai_agents.store.messages import MessageStore
    from ai_agents.store.model_calls import UsageStore
    from ai_agents.store.runs import RunStore
    from ai_agents.store.threads import ThreadStore
    from ai_agents.streams.reader import stream_as_sse
    from ai_agents.tools.base import Tool, ToolContext, ToolError
    from ai_agents.tools.registry import ToolRegistry, load_tools, register_tool

_HOMES = {
    "AIAgentsError": "core.exceptions",
    "AgentRunner": "runner.runner",
    "AgentStore": "store.agents",
    "Attachments": "attachments.files",
    "DatabaseHandle": "runner.handle",
    "DiskStore": "attachments.storage",
    "Event": "core.events",
    "FileStore": "store.files",
    "Guardrail": "guardrails.base",
    "MemoryStrategy": "memory.base",
    "MessageStore": "store.messages",
    "ModelCatalogue": "context.catalogue",
    "ModelFacts": "context.catalogue",
    "ModelPrice": "context.catalogue",
    "PatternGuardrail": "guardrails.base",
    "PermissionDenied": "core.exceptions",
    "Provider": "providers.base",
    "ProviderNotConfigured": "core.exceptions",
    "ObjectStore": "attachments.storage",
    "ProviderPool": "providers.registry",
    "RoleAuth": "auth.roles",
    "RunLimits": "runner.preparation",
    "RunStore": "store.runs",
    "ThreadStore": "store.threads",
    "Tool": "tools.base",
    "ToolContext": "tools.base",
    "ToolDefinition": "core.types",
    "ToolError": "tools.base",
    "ToolRegistry": "tools.registry",
    "UsageStore": "store.model_calls",
    "connect": "connection",
    "get_memory_strategy": "memory.registry",
    "get_provider": "providers.registry",
    "load_tools": "tools.registry",
    "register_guardrail": "guardrails.registry",
    "register_memory_strategy": "memory.registry",
    "register_provider": "providers.registry",
    "register_tool": "tools.registry",
    "stream_as_sse": "streams.reader",
}

__all__ = [
    "AIAgentsError",
    "AgentRunner",
    "AgentStore",
    "Attachments",
    "DatabaseHandle",
    "DiskStore",
    "Event",
    "FileStore",
    "Guardrail",
    "MemoryStrategy",
    "MessageStore",
    "ModelCatalogue",
    "ModelFacts",
    "ModelPrice",
    "ObjectStore",
    "PatternGuardrail",
    "PermissionDenied",
    "Provider",
    "ProviderNotConfigured",
    "ProviderPool",
    "RoleAuth",
    "RunLimits",
    "RunStore",
    "ThreadStore",
    "Tool",
    "ToolContext",
    "ToolDefinition",
    "ToolError",
    "ToolRegistry",
    "UsageStore",
    "connect",
    "get_memory_strategy",
    "get_provider",
    "load_tools",
    "register_guardrail",
    "register_memory_strategy",
    "register_provider",
    "register_tool",
    "stream_as_sse",
]


def __getattr__(name: str) -> Any:
    """Import a public name's module, once."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value
