"""`python -m covsup`: the same as the `covsup` command."""

import sys

from covsup.supervisor.cli import main

if __name__ == "__main__":
    sys.exit(main())
