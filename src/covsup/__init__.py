"""covsup: coverage of a whole process tree. Nearly empty: every measured process imports it."""

__version__ = "0.1.0"
