"""HTTP interfaces: they translate between wire formats and the services."""
