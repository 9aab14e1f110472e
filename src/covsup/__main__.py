"""`python -m covsup`: the same as the `covsup` command."""

import sys

from covsup.supervisor.entry import main

if __name__ == "__main__":
    sys.exit(main())
