"""The HTTP service of AI Agents, thin over the framework.

Routers ask services; services ask auth, the stores and the runner.
"""
