"""What measured processes leave behind, and the result that is made of it.

Rooms: session (the directory), journal (reading), fold (uniting), provenance (which process did what)
and database (the data file). Must never run in a measured process.
"""
