"""Attempts to sign in are counted for each host, in bounded memory."""

import pytest

from facerec.gateway.console.attempts import BURST, MAX_HOSTS, SignInAttempts
from facerec.serving.auth.errors import RateLimited


def test_one_host_s_attempts_take_none_of_another_s() -> None:
    attempts = SignInAttempts()
    for _ in range(BURST):
        attempts.count("192.0.2.1")
    with pytest.raises(RateLimited) as refused:
        attempts.count("192.0.2.1")
    assert 0 < (refused.value.retry_after_seconds or 0) <= 5
    attempts.count("192.0.2.2")


def test_the_host_that_tried_longest_ago_is_forgotten_first() -> None:
    attempts = SignInAttempts()
    for host in ("oldest", "newest", "newest"):
        attempts.count(host)
    for number in range(MAX_HOSTS + 100):
        attempts.count(str(number))
        attempts.count("newest") if number % 1000 == 999 else None
    assert len(attempts._buckets) == MAX_HOSTS
    assert "oldest" not in attempts._buckets
    assert "newest" in attempts._buckets
