"""Measure a process that runs already, by sys.remote_exec() (PEP 768): `attach` and `detach`.

Must never know: how a process is measured.
"""
