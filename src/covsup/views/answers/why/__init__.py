"""`covsup why`: who ran a line or a branch first, or why it did not run.

question (what was asked), answer (the values), explain (the way from one to the other), with ran (who
ran it), not_run (what kept it from running) and not_measured (why a file is not in the data), formats.
"""
