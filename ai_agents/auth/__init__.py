"""Rights: who may do what on which resource."""

from ai_agents.auth.roles import RoleAuth, ThreadAccess

__all__ = ["RoleAuth", "ThreadAccess"]
