"""Everything that knows SQL exists."""
