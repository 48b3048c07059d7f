"""Following a thread: readers, and the cursors that say what they were sent."""
