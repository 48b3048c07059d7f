"""OpenAI's Chat Completions, and its models: an agent is a model."""
