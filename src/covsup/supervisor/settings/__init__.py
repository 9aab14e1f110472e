"""Settings: of the command line, of covsup, and of coverage.py."""
