"""Which standby has what is committed, and how the positions of its log are read."""

import pytest

from matcher_service.postgres.connections.address import UrlInvalid
from matcher_service.postgres.standbys.positions import Position, Replay, Unfit, end_of_record, why_unfit
from matcher_service.postgres.standbys.urls import ReadUrls

BLOCK, FILE = 8192, 16 * 2**20
POSITION = Position(system=7, database="facerec", timeline=2, lsn=1000, flushed=True)


@pytest.mark.parametrize(
    ("inserted", "ends"),
    [
        (3 * BLOCK + 24, 3 * BLOCK),  # after the header of a page, which has no record
        (5 * FILE + 40, 5 * FILE),  # of the first page of a file, whose header is longer
        (3 * BLOCK + 40, 3 * BLOCK + 40),  # where a record of the page before ends
        (5 * FILE + 24, 5 * FILE + 24),  # within that header, where nothing begins
        (3 * BLOCK + 104, 3 * BLOCK + 104),
        (3 * BLOCK, 3 * BLOCK),
    ],
)
def test_the_last_record_ends_before_the_header_of_a_page_without_a_record(inserted: int, ends: int) -> None:
    assert end_of_record(inserted, BLOCK, FILE) == ends


@pytest.mark.parametrize(
    ("replay", "why"),
    [
        (Replay(True, 7, "facerec", 2, 1000), None),
        (Replay(True, 7, "facerec", 2, 2000), None),
        (Replay(True, 7, "facerec", 2, 999), Unfit.LAGGING),
        (Replay(True, 7, "facerec", 2, None), Unfit.LAGGING),
        (Replay(True, 7, "facerec", 1, 2000), Unfit.OTHER_TIMELINE),
        (Replay(True, 7, "facerec", 3, 2000), Unfit.OTHER_TIMELINE),
        (Replay(True, 7, "other", 2, 2000), Unfit.OTHER_DATABASE),
        (Replay(True, 8, "facerec", 2, 2000), Unfit.OTHER_DATABASE),
        (Replay(False, 7, "facerec", 2, 2000), Unfit.PROMOTED),
        (Replay(False, 8, "facerec", 2, 2000), Unfit.OTHER_DATABASE),
    ],
)
def test_a_standby_is_fit_if_it_is_of_this_primary_and_has_replayed_the_position(
    replay: Replay, why: Unfit | None
) -> None:
    assert why_unfit(POSITION, replay) is why


def test_urls_are_separated_by_blanks_or_lines_and_an_invalid_one_is_named_and_not_quoted() -> None:
    urls = ["postgresql://a/d", "postgresql://b/d"]
    assert ReadUrls("\n".join(urls)).texts == ReadUrls(f" {' '.join(urls)} {urls[0]}").texts == urls
    with pytest.raises(UrlInvalid, match="read_database_urls, number 2: ") as refusal:
        ReadUrls(f"{urls[0]} mysql://user:sEcReT@b/d")
    assert "sEcReT" not in str(refusal.value)
