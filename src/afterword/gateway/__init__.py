"""Calling language models: the port, its provider adapters, and the relay that passes on their answers."""
