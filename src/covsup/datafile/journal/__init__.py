"""Read journals: what one process image executed, and what happened to it.

Knows the journal's format. Must never know what a session is, or what is done with the facts.
"""
