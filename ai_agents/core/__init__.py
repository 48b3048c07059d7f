"""Types, events and errors that the whole framework shares. Nothing here does I/O."""
