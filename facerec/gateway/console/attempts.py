"""Limits how often a host may try to sign in."""

from collections import OrderedDict
from typing import Final

from facerec.serving.auth.errors import RateLimited
from facerec.serving.auth.rates import TokenBucket

BURST: Final = 20
PER_SECOND: Final = 0.2
MAX_HOSTS: Final = 4096
"""Of how many hosts the attempts are counted; of more, those that tried longest ago are forgotten. Keys are
too long to be guessed, so the limit is about load."""


class SignInAttempts:
    """The attempts of each host: `BURST` together, then `PER_SECOND`."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def count(self, host: str) -> None:
        """Count an attempt. Raises RateLimited."""
        bucket = self._buckets.setdefault(host, TokenBucket(PER_SECOND, BURST))
        self._buckets.move_to_end(host)
        if len(self._buckets) > MAX_HOSTS:
            self._buckets.popitem(last=False)
        if seconds := bucket.try_take():
            raise RateLimited(
                "too many attempts to sign in from this host; retry later", retry_after_seconds=seconds
            )
