"""The page as one file that opens from disk: the assets and the data in one document.

Must never know: HTTP, optional libraries, command lines.
"""
