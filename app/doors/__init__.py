"""Doors for clients of protocols that exist: one folder each, all over the same log as our own routes.

`base.py` says what a door is, `listed.py` has the list of them. What several doors need lies here; doors do not know
each other.
"""
