"""A part of the shop."""
