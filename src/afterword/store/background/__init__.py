"""Background work: what keeps derived data up to date and removes what has expired."""
