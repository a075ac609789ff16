"""Queries: from a filter to rows, counts, groups and statistics."""
