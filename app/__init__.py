"""The HTTP service, thin over the framework: routers ask services; these ask auth, the stores and the runner."""
