"""Benchmarks of a server on this machine, compared with their aims. Run them with `python -m benchmarks`."""
