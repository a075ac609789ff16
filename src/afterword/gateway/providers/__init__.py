"""Providers of language models: a module for each."""
