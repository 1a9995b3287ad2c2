"""`python -m encoder_service COMMAND [flags]`."""

import sys

from encoder_service.entry import main

if __name__ == "__main__":
    sys.exit(main())
