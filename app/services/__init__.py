"""Use cases, one per function: each asks whether the user may, and then a store or the runner. HTTP stays outside."""
