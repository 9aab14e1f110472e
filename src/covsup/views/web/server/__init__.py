"""The page over HTTP: starlette and uvicorn, which are in the extra `covsup[view]`.

Must never know: journals, how a command line is read.
"""
