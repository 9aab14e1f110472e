"""The outside of a session: command line, settings, launch, signals, tree, combine, report.

entry.py is where the command begins, cli.py has the table of commands, arguments.py what several
commands share, messages.py what a user reads on stderr. Each folder is a room.

Must never run in a measured process.
"""
