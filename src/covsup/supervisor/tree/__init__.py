"""The tree of a session's processes, computed from a provenance, as text and as JSON.

It must never look at running processes, files or the terminal: it is a view of stored data.
"""
