"""Following a thread: what a reader has been sent, and what it is sent next."""
