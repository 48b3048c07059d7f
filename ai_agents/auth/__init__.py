"""Rights: who may do what on which resource."""

from ai_agents.auth.roles import RoleAuth
from ai_agents.store.thread_access import ThreadAccess

__all__ = ["RoleAuth", "ThreadAccess"]
