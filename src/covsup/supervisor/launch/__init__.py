"""`covsup run`: find the target, check its Python, start it, and stay until its process tree ends.

supervise.py is the way of a whole run; the other files know the target and its interpreter.

Must never know: what a journal contains.
"""
