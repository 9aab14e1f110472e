"""Small programs that say themselves which of their lines and branches run.

`row` has the words that they say it with, `tables` the programs, `witness` the proof that what they
say is true.
"""
