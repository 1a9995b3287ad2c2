"""A planted fault that the soak of replication must detect: `python -m tests.soak.unchecked serve`.

A matcher that reads from any standby, whatever it has replayed.
"""

import sys

from matcher_service import commands
from matcher_service.postgres.standbys import standby

if __name__ == "__main__":
    standby.why_unfit = lambda position, replay: None  # type: ignore[attr-defined]
    sys.exit(commands.main(sys.argv[1:]))
