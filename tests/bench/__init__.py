"""Benchmarks: `python -m tests.bench line`."""
