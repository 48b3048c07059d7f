"""Which messages of a thread a model is shown: strategies, told apart by name, each reading only its window."""
