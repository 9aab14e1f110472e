"""The tests of covsup; `tests.world` is what they share."""
