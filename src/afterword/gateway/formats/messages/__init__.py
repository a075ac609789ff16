"""Anthropic's Messages API as a form of calls.

Source: Anthropic's API reference (Messages, Streaming, Errors, Extended thinking, Structured outputs, Citations),
version 2023-06-01, and the accumulators of its SDKs.
"""
