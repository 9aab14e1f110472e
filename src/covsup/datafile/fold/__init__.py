"""The fold: the union of what journals and session directories say, as one result.

Must never know a clock, a process table, a terminal or a file.
"""
