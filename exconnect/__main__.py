"""`python -m exconnect` is the `exconnect` command."""

import sys

from exconnect.cli import main

if __name__ == "__main__":
    sys.exit(main())
