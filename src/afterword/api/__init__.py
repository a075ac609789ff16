"""The faces: they translate between the wire and the services."""
