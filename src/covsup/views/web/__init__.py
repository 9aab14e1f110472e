"""The page of `covsup serve` and `covsup page`: its data, the server, and the assets.

`data/` makes the page's data from a view and needs no optional library. `server/` serves them over
HTTP. Must never know: journals, a terminal, the other faces.
"""
