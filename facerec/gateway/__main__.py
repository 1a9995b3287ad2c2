"""Runs `python -m facerec.gateway COMMAND`."""

import sys

from facerec.gateway.commands import main

if __name__ == "__main__":
    sys.exit(main())
