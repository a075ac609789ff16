"""Benchmarks: what a server on this machine does, beside what it is meant to do. Run by `python -m benchmarks`."""
