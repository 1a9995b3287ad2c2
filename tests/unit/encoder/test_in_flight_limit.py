"""How many images one caller, and one of its sub-callers, may have in flight."""

from encoder_service.pipeline.in_flight_limit import FairInFlightLimit


def fill(shares: FairInFlightLimit, caller: str, on_behalf_of: str = "") -> int:
    """Take as many as may be had."""
    taken = 0
    while shares.has_room(caller, on_behalf_of):
        shares.acquire(caller, on_behalf_of)
        taken += 1
    return taken


def test_one_caller_gets_three_quarters() -> None:
    shares = FairInFlightLimit(64)
    assert fill(shares, "a") == 48
    assert fill(shares, "b") == 12
    assert shares.in_flight == 60


def test_one_for_whom_a_caller_calls_gets_three_quarters_of_the_callers_share() -> None:
    shares = FairInFlightLimit(64)
    assert fill(shares, "matcher", "x") == 36
    assert fill(shares, "matcher", "y") == 9
    assert shares.count("matcher") == 45
    assert shares.count("matcher", "y") == 9


def test_a_caller_gets_no_more_by_telling_many_apart() -> None:
    shares = FairInFlightLimit(64)
    assert sum(fill(shares, "matcher", str(number)) for number in range(100)) == 48
    assert fill(shares, "b") == 12


def test_every_caller_may_have_one_image_in_flight_however_small_the_limit() -> None:
    for most in range(1, 10):
        assert fill(FairInFlightLimit(most), "matcher", "x") >= 1


def test_an_ended_image_frees_its_permit() -> None:
    shares = FairInFlightLimit(4)
    taken = fill(shares, "matcher", "x")
    for _ in range(taken):
        shares.release("matcher", "x")
    assert (shares.in_flight, shares.count("matcher"), shares.count("matcher", "x")) == (0, 0, 0)
    assert fill(shares, "matcher", "x") == taken
