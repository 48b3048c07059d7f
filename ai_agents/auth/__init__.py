"""Who may do what on which resource; one place decides."""

from ai_agents.auth.roles import RoleAuth, ThreadAccess

__all__ = ["RoleAuth", "ThreadAccess"]
