"""The session directory: its settings, journals, notes and observations.

Knows the names and the text formats in the directory. Must never know what a journal holds, or what
a process does.
"""
