"""Studies: A/B tests, datasets and statistics over many interactions."""
