"""What one measurement covers that another does not, also where the sources differ.

`side` reads the two measurements, `texts` finds the sources that they measured, `line_map` matches
the lines of two texts, and `compare` makes the answer of it. The other modules print it.
"""
