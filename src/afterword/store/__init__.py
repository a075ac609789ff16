"""The store: all of Afterword's SQL is in this package."""
