"""Calling language models: the port, the providers behind it, and the relay that passes on what they say."""
