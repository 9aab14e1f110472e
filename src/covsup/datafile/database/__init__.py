"""coverage.py's SQLite database, with covsup's tables."""
