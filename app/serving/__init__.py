"""The HTTP server: its sockets, the bounds of connections before their client is known, and how it stops."""
