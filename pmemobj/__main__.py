"""``python -m pmemobj``: the command line."""

import sys

from pmemobj.cli import main

if __name__ == "__main__":
    sys.exit(main())
