"""From an agent, a window of history and tools to one request that every provider accepts, and an account of it."""
