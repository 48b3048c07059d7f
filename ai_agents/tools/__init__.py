"""Tools that a model may call, their registry, and the executor that runs them."""
