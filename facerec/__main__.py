"""`python -m facerec` is the `facerec` command."""

import sys

from facerec.cli import main

if __name__ == "__main__":
    sys.exit(main())
