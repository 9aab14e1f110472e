"""Combine sessions, journals and data files into one data file, end a run with that, and report on
it.

It finds out which processes still run, reads, groups and unites the inputs, writes the data file,
and deletes what is stored. It must never know the command line, or how a target is started and
watched.
"""
