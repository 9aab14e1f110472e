"""Sessions as a whole: create one, put it into an environment, find the ones beside a data file.

It must never read a journal itself, or know how the processes of a session are watched.
"""
