"""The parent of several processes, with children that only talk to it: they start in a moment."""
