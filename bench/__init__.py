"""Measures how fast the service is and how much memory it takes: `make bench`, results in docs/performance.md."""
