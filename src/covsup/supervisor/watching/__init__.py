"""Watch the processes of a run, and pass signals on."""
