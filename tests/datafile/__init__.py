"""Tests of the fold, of what is stored of it, and of combining."""
