"""`python -m matcher_service COMMAND [flags]`."""

import sys

from matcher_service.entry import main

if __name__ == "__main__":
    sys.exit(main())
