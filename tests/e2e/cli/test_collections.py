"""Collections, duplicates, merges and expiry at a terminal, over a real stack."""

import datetime
import re
from pathlib import Path

import pytest

from tests.e2e.cli.conftest import Prepared, Terminal


@pytest.fixture
def staff(prepared: Prepared) -> str:
    """The id of an empty collection."""
    prepared.collection("staff")
    return "staff"


def test_collections_are_created_shown_changed_listed_and_erased(
    terminal: Terminal, sample_photos: Path
) -> None:
    options = "--name Lab --verify-threshold 0.25 --duplicates allow --retention 90d --json"
    created = terminal.run("collections", "create", "lab", *options.split())
    assert created.code == 0
    settings = created.json["collection"]["settings"]
    assert (settings["display_name"], settings["verify_threshold"]) == ("Lab", 0.25)
    assert (settings["duplicate_policy"], settings["retention"]) == ("allow", 90 * 86400)
    again = terminal.run("collections", "create", "lab", "--json")
    assert (again.code, again.json["error"]["reason"]) == (2, "COLLECTION_EXISTS")

    terminal.run("enroll", "obama", sample_photos / "obama.jpg", "--collection", "lab")
    claim = ("verify", "obama", sample_photos / "obama2.jpg", "--collection", "lab")
    assert terminal.run(*claim).code == 1, "0.3457 is over 0.25"
    changed = terminal.run("collections", "set", "lab", "--verify-threshold", "0.4", "--json").json
    assert changed["collection"]["settings"] == settings | {"verify_threshold": 0.4}
    assert terminal.run(*claim).code == 0
    assert terminal.run("verify", "obama", sample_photos / "obama2.jpg").code == 2, "not in `default`"

    shown = terminal.run("collections", "show", "lab", "--json").json["collection"]
    assert (shown["settings"]["verify_threshold"], shown["index"]["ready"]) == (0.4, False)
    shown = terminal.run("collections", "show", "lab").out
    assert shown.startswith("lab (Lab): 1 person, 1 face\n")
    values = dict(re.split(r"\s{2,}", line.strip()) for line in shown.splitlines()[4:] if line.strip())
    assert (values["retention"], values["index"]) == ("90d", "none")
    assert (values["duplicates"], values["verify threshold"]) == ("allow within 0.500", "0.400")
    listed = terminal.run("collections", "--json").json["collections"]
    assert [c["collection_id"] for c in listed] == sorted(
        {"default", "lab"} | {c["collection_id"] for c in listed}
    )

    unasked = terminal.run("collections", "delete", "lab")
    assert (unasked.code, "there is no terminal to ask on" in unasked.err) == (2, True)
    erased = terminal.run("collections", "delete", "lab", "--yes", "--json").json
    assert (erased["collections_deleted"], erased["persons_deleted"], erased["faces_deleted"]) == (1, 1, 1)
    gone = terminal.run("collections", "delete", "lab", "--yes")
    assert (gone.code, gone.out) == (0, "nothing to erase: there is no collection lab\n")
    assert (
        terminal.run("collections", "show", "lab", "--json").json["error"]["reason"] == "COLLECTION_NOT_FOUND"
    )


def test_a_duplicate_is_reported_in_one_line_and_can_be_merged(
    terminal: Terminal, sample_photos: Path, staff: str
) -> None:
    first, second = sample_photos / "obama.jpg", sample_photos / "obama2.jpg"
    assert terminal.run("enroll", "obama", first, "--collection", staff).err == ""
    flagged = terminal.run("enroll", "barack", second, "--collection", staff)
    other, merge = (
        "obama has a face at distance 0.346",
        "facerec people merge barack obama --collection staff",
    )
    assert (flagged.code, flagged.err) == (
        0,
        f"duplicate {second}: enrolled for barack, but {other}: if both are one person, "
        f"`{merge}` corrects it\n",
    )
    terminal.run("people", "delete", "barack", "--yes", "--collection", staff)
    (photo,) = terminal.run("enroll", "barack", second, "--collection", staff, "--json").json["photos"]
    assert (photo["duplicate_of"], photo["status"]) == ("obama", "enrolled")
    assert photo["duplicate_distance"] == pytest.approx(0.3457, abs=1e-3)

    merged = terminal.run("people", "merge", "barack", "obama", "--collection", staff, "--json")
    assert (merged.code, merged.json["faces_moved"], merged.json["person"]["face_count"]) == (0, 1, 2)
    again = terminal.run("people", "merge", "barack", "obama", "--collection", staff, "--json")
    assert (again.code, again.json["error"]["reason"]) == (2, "PERSON_NOT_FOUND")
    itself = terminal.run("people", "merge", "obama", "obama", "--collection", staff, "--json")
    assert (itself.code, itself.json["error"]["reason"]) == (2, "OPTION_INVALID")


def test_a_refused_duplicate_names_the_other_person_and_the_other_photos_are_enrolled(
    terminal: Terminal, sample_photos: Path, staff: str
) -> None:
    terminal.run("collections", "set", staff, "--duplicates", "refuse")
    terminal.run("enroll", "obama", sample_photos / "obama.jpg", "--collection", staff)
    photos = (sample_photos / "obama2.jpg", sample_photos / "biden.jpg")
    ran = terminal.run("enroll", "biden", *photos, "--collection", staff, "--json")
    assert ran.code == 1
    outcomes = [(p["status"], p["reason"], p["duplicate_of"]) for p in ran.json["photos"]]
    assert outcomes == [("refused", "FACE_DUPLICATE", "obama"), ("enrolled", "", "")]
    assert ran.err == (
        f"refused {photos[0]}: it is obama's face, and the collection refuses duplicates [FACE_DUPLICATE]\n"
    )


def test_faces_are_enrolled_with_an_expire_time(terminal: Terminal, sample_photos: Path, staff: str) -> None:
    def enroll(photo: str, expires: str) -> int:
        options = ("--collection", staff, "--expires", expires)
        return terminal.run("enroll", "obama", sample_photos / photo, *options).code

    before = datetime.datetime.now(datetime.UTC)
    assert enroll("obama.jpg", "30d") == 0
    assert enroll("obama2.jpg", "2099-01-31T18:00+01:00") == 0
    assert terminal.run("enroll", "obama", sample_photos / "obama3.jpg", "--collection", staff).code == 0
    shown = terminal.run("people", "show", "obama", "--collection", staff, "--json").json["faces"]
    first, second, third = (face["expire_time"] for face in shown)
    late = datetime.datetime.fromisoformat(first) - before
    assert datetime.timedelta(days=30) <= late < datetime.timedelta(days=30, minutes=2)
    assert (second, third) == ("2099-01-31T17:00:00+00:00", None)
    assert "never" in terminal.run("people", "show", "obama", "--collection", staff).out


@pytest.mark.parametrize("expires", ["2020-01-01", "tomorrow", "30", "0d", "999999w"])
def test_an_invalid_or_past_expire_time_is_refused(
    terminal: Terminal, sample_photos: Path, expires: str
) -> None:
    ran = terminal.run("enroll", "obama", sample_photos / "obama.jpg", "--expires", expires, "--json")
    assert (ran.code, ran.json["error"]["reason"]) == (2, "USAGE")
    assert f"--expires {expires}" in ran.err
