"""Answers that a text can give: about lines, tests and differences.

Must never know: journals, a terminal's abilities, a page.
"""
