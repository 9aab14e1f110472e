"""The carrier: a preloaded library that takes the session through programs that scrub environments."""
