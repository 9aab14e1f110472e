"""`covsup debug migrate`: what to change in a project that uses coverage.py or pytest-cov.

report.py prints the findings. The other files each find them in one kind of text.

Must never change a file, or run anything of the project.
"""
