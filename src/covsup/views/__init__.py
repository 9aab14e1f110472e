"""Views of what was measured: of a session that runs, of one that has ended, and of a data file.

Rooms: model (what was executed so far, and what changed since the last look), sources (what a source
file consists of), answers (questions that a text can answer), terminal (`covsup top`) and web
(`covsup serve`, `covsup page`). Faces (answers, terminal, web) know the model and the sources, and no
journals. Views only read. Must never run in a measured process.
"""
