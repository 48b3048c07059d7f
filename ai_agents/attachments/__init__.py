"""Files that are sent along with messages: told what they are, kept, read, and formatted for each model."""
