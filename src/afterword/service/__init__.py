"""The rules: a function for each thing that a person can do."""
