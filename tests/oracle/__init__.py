"""coverage.py's C tracer in a single thread is the oracle: for the same run, the same report."""
