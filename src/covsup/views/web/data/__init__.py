"""The data of the page, as values for JSON: made from a view and the analyses of its sources.

Must never know: HTTP, optional libraries.
"""
