"""Guardrails: patterns and judges for what may go in and come out, on a stream too."""
