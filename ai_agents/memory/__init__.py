"""Memory strategies: which messages of a thread a model is sent. Each reads only the rows of its window."""
