"""A matcher that counts nothing, to measure against: `python -m tests.benchmarks.matcher.bare serve ...`."""

import sys
from typing import Any

from facerec.serving import server
from facerec.serving.counting import Counting
from matcher_service.__main__ import main


class Nothing(Counting):
    """Takes the place of the layer that counts and logs, and leaves every handler as it is."""

    def __call__(self, method: str, handler: Any) -> Any:
        """The handler itself."""
        del method
        return handler


if __name__ == "__main__":
    server.Counting = Nothing  # type: ignore[attr-defined]
    sys.exit(main(sys.argv[1:]))
