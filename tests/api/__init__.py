"""The service through its HTTP interface, on SQLite and on PostgreSQL."""
