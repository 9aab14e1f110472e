"""Start the target: what it is, in which Python, and whether that can be measured."""
