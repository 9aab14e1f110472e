"""The outside of a session: command line, settings, launch, signals, tree, combine, report."""
