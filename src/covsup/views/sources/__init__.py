"""What source files consist of: statements, branches, functions, colours. coverage.py's own rules.

Must never know: sessions, journals, faces.
"""
