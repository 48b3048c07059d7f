"""What may go in and come out: patterns that are seen on a stream before a character of theirs leaves, and judges."""
