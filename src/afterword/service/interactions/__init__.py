"""Interactions: logging, search, changes, serializing."""
