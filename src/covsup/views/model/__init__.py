"""What was executed so far, in a session or a data file, and what is new since the last look.

Must never know: a terminal, a page, source texts.
"""
