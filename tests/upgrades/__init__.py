"""Tests that one version follows the other without an interruption."""
