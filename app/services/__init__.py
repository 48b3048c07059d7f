"""Use cases, one function each: check what the user may do, then call a store or the runner. They know no HTTP."""
