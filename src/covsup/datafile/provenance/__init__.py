"""Which process executed what, how it started and how it ended."""
