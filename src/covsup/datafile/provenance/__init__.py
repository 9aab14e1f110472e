"""Which process executed what, how it started and how it ended: derived from a result.

Pure, as the fold is. Must never know a clock, a process table, a terminal or a file.
"""
