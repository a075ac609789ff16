"""Feedback: metrics, values, preferences and outcomes."""
