"""Fakes of the servers that the project talks to. Each is a real server on loopback."""
