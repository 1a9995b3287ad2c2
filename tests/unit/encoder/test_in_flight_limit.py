"""How many images one caller, and one of those whom it calls for, may have under way."""

from encoder_service.pipeline.in_flight_limit import FairInFlightLimit


def fill(limit: FairInFlightLimit, caller: str, on_behalf_of: str = "") -> int:
    """Take as many as may be had."""
    taken = 0
    while limit.has_capacity(caller, on_behalf_of):
        limit.take(caller, on_behalf_of)
        taken += 1
    return taken


def test_one_caller_gets_three_quarters_and_leaves_room_for_others() -> None:
    limit = FairInFlightLimit(64)
    assert fill(limit, "a") == 48
    assert fill(limit, "b") == 12
    assert limit.total == 60


def test_one_for_whom_a_caller_calls_gets_three_quarters_of_the_callers_share() -> None:
    limit = FairInFlightLimit(64)
    assert fill(limit, "matcher", "x") == 36
    assert fill(limit, "matcher", "y") == 9
    assert limit.count("matcher") == 45
    assert limit.count("matcher", "y") == 9


def test_a_caller_gets_no_more_by_telling_many_apart() -> None:
    limit = FairInFlightLimit(64)
    assert sum(fill(limit, "matcher", str(number)) for number in range(100)) == 48
    assert fill(limit, "b") == 12


def test_every_caller_has_capacity_for_one_image_of_the_first_however_few_there_may_be() -> None:
    for most in range(1, 10):
        assert fill(FairInFlightLimit(most), "matcher", "x") >= 1


def test_what_has_ended_is_room_again() -> None:
    limit = FairInFlightLimit(4)
    taken = fill(limit, "matcher", "x")
    for _ in range(taken):
        limit.release("matcher", "x")
    assert (limit.total, limit.count("matcher"), limit.count("matcher", "x")) == (0, 0, 0)
    assert fill(limit, "matcher", "x") == taken
