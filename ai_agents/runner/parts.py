"""What a runner is made of. A wrong part is told at once, and not by the first run."""

from ai_agents.auth.roles import RoleAuth
from ai_agents.memory.base import MemoryStrategy
from ai_agents.memory.registry import list_memory_strategies
from ai_agents.providers.base import Provider
from ai_agents.providers.registry import ProviderPool, list_providers
from ai_agents.runner.handle import DatabaseHandle
from ai_agents.store.database import not_a_handle


def check_parts(conn: object, auth: object, provider: object, memory: object, providers: object) -> None:
    """Raises TypeError for a part of an `AgentRunner` that is something else."""
    if not isinstance(conn, DatabaseHandle):
        raise TypeError(not_a_handle("AgentRunner", conn))
    if auth is not None and not isinstance(auth, RoleAuth):
        raise TypeError(_other("auth", "RoleAuth(conn)", auth))
    if provider is not None and not isinstance(provider, Provider):
        name = provider if isinstance(provider, str) and provider in list_providers() else "anthropic"
        raise TypeError(_other("provider", f'get_provider("{name}", model="…")', provider))
    if isinstance(provider, Provider) and not isinstance(getattr(provider, "name", None), str):
        kind = type(provider).__name__
        raise TypeError(f'{kind} has no name, which agents write in `provider`: write `name = "…"` in the class.')
    if memory is not None and not isinstance(memory, MemoryStrategy):
        name = memory if isinstance(memory, str) and memory in list_memory_strategies() else "last_n"
        raise TypeError(_other("memory", f'get_memory_strategy("{name}")', memory))
    if providers is not None and not isinstance(providers, ProviderPool):
        raise TypeError(_other("providers", "ProviderPool()", providers))


def _other(part: str, made_by: str, given: object) -> str:
    shown = repr(given) if isinstance(given, str) else f"an object of {type(given).__name__}"
    forgotten = f" It is a class: write {given.__name__}(…)." if isinstance(given, type) else ""
    return f"AgentRunner takes as `{part}` what `{made_by}` returns, not {shown}.{forgotten}"
