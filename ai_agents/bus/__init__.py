"""Previews and wake-ups between whoever runs an agent and whoever reads along. Nothing here may not be lost."""
