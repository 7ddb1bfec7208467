"""Benchmarks of the whole engine: `python -m benchmarks`, or `make bench`."""
