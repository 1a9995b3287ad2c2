"""A matcher that counts nothing, to measure against: `python -m tests.benchmarks.matcher.bare serve ...`."""

import sys

from facerec.serving.middleware.chain import Does, Method
from facerec.serving.middleware.request_metrics import Counting
from facerec.serving.server import server
from matcher_service.__main__ import main


class Nothing(Counting):
    """Takes the place of the layer that counts and logs, and leaves every call as it is."""

    def __call__(self, method: Method, does: Does) -> Does:
        """The same."""
        del method
        return does


if __name__ == "__main__":
    server.Counting = Nothing  # type: ignore[attr-defined]
    sys.exit(main(sys.argv[1:]))
