"""The data file: coverage.py's SQLite database, with covsup's tables beside its own.

Must never know journals or processes: it stores a result and gives it back.
"""
