"""Stand-ins for what the project talks to, as real servers."""
