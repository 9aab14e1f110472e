"""Sessions: how one is made, and which others there are."""
