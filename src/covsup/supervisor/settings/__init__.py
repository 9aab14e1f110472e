"""Settings: of the command line, of covsup's own section, of coverage.py, and of a pytest.

A mistake is a UsageError, before anything runs. It names the file, the key and what to write.

Must never know: sessions, journals, processes.
"""
