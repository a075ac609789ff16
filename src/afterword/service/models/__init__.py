"""Models: registered, attached to projects, and found by the names in calls."""
