"""The tree of a session's processes, and how it is shown."""
