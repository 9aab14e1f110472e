"""Read journals."""
