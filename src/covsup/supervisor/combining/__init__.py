"""Bring what sessions, journals and data files hold into one data file."""
