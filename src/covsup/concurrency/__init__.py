"""Adapters: what keeps measurement right across each kind of concurrency and of process start."""
