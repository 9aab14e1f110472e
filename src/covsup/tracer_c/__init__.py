"""The C extension: cores, per-code state, contexts, file filter and the journal's writer."""
