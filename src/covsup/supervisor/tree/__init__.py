"""The tree of a session's processes, computed from a provenance, as text and as JSON.

`show` does the work of the command. The other modules are a view of stored data: they must never
look at running processes, files or the terminal.
"""
