"""covsup: coverage of a whole process tree. Nearly empty: every measured process imports it.

PYTEST_DONT_REWRITE: a measured pytest finds covsup imported, and would warn that it is too late to
rewrite its assertions.
"""

__version__ = "0.1.0"
