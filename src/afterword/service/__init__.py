"""The services: one function for each operation of the API."""
