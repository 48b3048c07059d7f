"""Types, events and errors that every room of the framework shares; nothing here does I/O."""
