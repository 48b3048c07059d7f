"""The HTTP service: a thin layer over the framework. Routers ask services; services ask auth, the stores, the runner."""
