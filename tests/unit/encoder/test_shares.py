"""How many images one caller, and one of its sub-callers, may have in flight."""

from encoder_service.pipeline.shares import Shares


def fill(shares: Shares, caller: str, on_behalf_of: str = "") -> int:
    """Take as many permits as possible."""
    taken = 0
    while shares.has_room(caller, on_behalf_of):
        shares.take(caller, on_behalf_of)
        taken += 1
    return taken


def test_one_caller_gets_three_quarters_and_leaves_room_for_others() -> None:
    shares = Shares(64)
    assert fill(shares, "a") == 48
    assert fill(shares, "b") == 12
    assert shares.under_way == 60


def test_one_sub_caller_gets_three_quarters_of_its_callers_share() -> None:
    shares = Shares(64)
    assert fill(shares, "matcher", "x") == 36
    assert fill(shares, "matcher", "y") == 9
    assert shares.count("matcher") == 45
    assert shares.count("matcher", "y") == 9


def test_a_caller_gets_no_more_by_naming_many_sub_callers() -> None:
    shares = Shares(64)
    assert sum(fill(shares, "matcher", str(number)) for number in range(100)) == 48
    assert fill(shares, "b") == 12


def test_every_caller_has_room_for_one_image_of_the_first_however_few_there_may_be() -> None:
    for most in range(1, 10):
        assert fill(Shares(most), "matcher", "x") >= 1


def test_an_ended_image_frees_its_room() -> None:
    shares = Shares(4)
    taken = fill(shares, "matcher", "x")
    for _ in range(taken):
        shares.give("matcher", "x")
    assert (shares.under_way, shares.count("matcher"), shares.count("matcher", "x")) == (0, 0, 0)
    assert fill(shares, "matcher", "x") == taken
