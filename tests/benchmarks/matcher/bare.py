"""A matcher without metrics and logs, as a baseline: `python -m tests.benchmarks.matcher.bare serve ...`."""

import sys

from facerec.serving.middleware.chain import Handler, Method
from facerec.serving.middleware.request_metrics import RequestMetrics
from facerec.serving.server import server
from matcher_service.commands import main


class Nothing(RequestMetrics):
    """Replaces the middleware for metrics and access log, and leaves every call unchanged."""

    def __call__(self, method: Method, does: Handler) -> Handler:
        """The same."""
        del method
        return does


if __name__ == "__main__":
    server.RequestMetrics = Nothing  # type: ignore[attr-defined]
    sys.exit(main(sys.argv[1:]))
