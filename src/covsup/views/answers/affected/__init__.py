"""The tests that a change can affect, from recorded contexts, git and the sources.

The path of an answer: `repository` lists the files that changed, `measured_texts` finds the version of
each that was measured, `python_changes` compares two versions, `importers` finds the files that depend
on a module, `selection` picks the tests, `node_ids` gives the words for pytest. Where something is
unknown, more tests are picked, and a note says why.
"""
