"""The tree of a session's processes, computed from a provenance, as text, JSON, Mermaid and trace.

`show` does the work of the command. The other modules are a view of stored data: they must never
look at running processes, files or the terminal.
"""
