"""Interactions: logged, found, changed, shown."""
