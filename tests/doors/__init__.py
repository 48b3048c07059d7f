"""Clients of other protocols."""
