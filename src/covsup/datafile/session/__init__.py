"""The session directory."""
