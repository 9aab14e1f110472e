"""Observe running processes: what they run, how they end, whether they are measured, their signals.

It must never know what a journal contains, or what becomes of the observations: it records them in
the session directory.
"""
