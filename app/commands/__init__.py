"""The commands of `ai-agents`: one file per family. What a command needs is imported when it runs."""
