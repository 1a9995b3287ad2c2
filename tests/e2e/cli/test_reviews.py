"""Duplicates, recall and the audit at a terminal, over a real stack."""

from pathlib import Path

import pytest

from tests.e2e.cli.conftest import Prepared, Terminal

STAFF = ("--collection", "reviewed")


@pytest.fixture
def reviewed(prepared: Prepared, sample_photos: Path) -> None:
    """A collection with one human under two ids."""
    names = {"obama": "obama.jpg", "barack": "obama2.jpg", "biden": "biden.jpg"}
    prepared.collection("reviewed", {person: sample_photos / photo for person, photo in names.items()})


@pytest.mark.usefixtures("reviewed")
def test_duplicates_are_listed_dismissed_and_shown_again(terminal: Terminal) -> None:
    (pair,) = terminal.run("duplicates", *STAFF, "--json").json["pairs"]
    assert (pair["person_id_a"], pair["person_id_b"], pair["dismissed"]) == ("obama", "barack", False)
    assert pair["distance"] == pytest.approx(0.3457, abs=1e-3)
    shown = terminal.run("duplicates", *STAFF)
    assert ("0.346" in shown.out, "`facerec people merge SOURCE TARGET`" in shown.err) == (True, True)
    assert terminal.run("duplicates", "--limit", 1, *STAFF).out.endswith("1 pair or more\n")
    done = terminal.run("duplicates", "--dismiss", "barack", "obama", *STAFF)
    assert (done.code, done.out) == (0, "dismissed barack and obama\n")
    none = terminal.run("duplicates", *STAFF)
    assert (none.out, none.err) == ("0 pairs\n", "")
    assert "dismissed" in terminal.run("duplicates", "--all", *STAFF).out
    assert terminal.run("duplicates", "--restore", "barack", "obama", *STAFF).code == 0
    assert terminal.run("duplicates", *STAFF).out.endswith("1 pair\n")
    unknown = terminal.run("duplicates", "--dismiss", "barack", "nobody", *STAFF)
    assert (unknown.code, "nobody" in unknown.err) == (2, True)


def test_a_photo_under_a_wrong_id_is_flagged_listed_and_moved_by_the_command_shown(
    terminal: Terminal, prepared: Prepared, sample_photos: Path
) -> None:
    people = {"obama": sample_photos / "obama.jpg", "joe biden": sample_photos / "biden.jpg"}
    prepared.collection("mixed", people)
    mixed, photo = ("--collection", "mixed"), sample_photos / "obama2.jpg"
    ran = terminal.run("enroll", "joe biden", photo, *mixed)
    assert ran.err.startswith(f"inconsistent {photo}: enrolled for joe biden, but it is rather obama's face")
    suggested = ran.err.split("`")[1]
    (face,) = terminal.run("duplicates", "--faces", *mixed, "--json").json["faces"]
    assert (face["person_id"], face["other_person_id"]) == ("joe biden", "obama")
    assert face["other_distance"] == pytest.approx(0.3457, abs=1e-3)
    move = f"facerec people move {face['face_id']} --to obama --collection mixed"
    assert suggested == move
    shown = terminal.run("duplicates", "--faces", "--person", "joe biden", *mixed).out
    assert move in shown
    assert terminal.run("duplicates", "--faces", "--person", "obama", *mixed).out == "0 faces\n"
    assert terminal.run(*move.split()[1:]).code == 0
    assert terminal.run("duplicates", "--faces", *mixed).out == "0 faces\n"
    unknown = terminal.run("duplicates", "--faces", "--person", "nobody", *mixed)
    assert (unknown.code, "nobody" in unknown.err) == (2, True)
    for wrong in (("--faces", "--all"), ("--faces", "--dismiss", "a", "b"), ("--person", "obama")):
        assert terminal.run("duplicates", *wrong, *mixed).code == 2


def test_an_inconsistent_photo_is_refused_and_named_where_the_collection_says_so(
    terminal: Terminal, prepared: Prepared, sample_photos: Path
) -> None:
    people = {"obama": sample_photos / "obama.jpg", "biden": sample_photos / "biden.jpg"}
    prepared.collection("mixed", people)
    set_to = terminal.run("collections", "set", "mixed", "--consistency", "refuse", "--json").json
    assert set_to["collection"]["settings"]["consistency_policy"] == "refuse"
    photo = sample_photos / "obama2.jpg"
    ran = terminal.run("enroll", "biden", photo, "--collection", "mixed", "--json")
    (outcome,) = ran.json["photos"]
    found = (ran.code, outcome["reason"], outcome["inconsistent_with"], outcome["duplicate_of"])
    assert found == (1, "FACE_INCONSISTENT", "obama", "")
    assert ran.err == (
        f"refused {photo}: it is rather obama's face than its person's, and the collection refuses those "
        "[FACE_INCONSISTENT]\n"
    )


@pytest.mark.usefixtures("reviewed")
def test_audit_events_are_shown_newest_first(terminal: Terminal) -> None:
    terminal.run("collections", "set", "reviewed", "--verify-threshold", "0.5")
    events = terminal.run("audit", "--changes", "--limit", 3, *STAFF).out
    assert all(word in events for word in ("UPDATE_COLLECTION", "verify_threshold: 0.6 -> 0.5", "ENROLL"))
    assert "obama" not in events
    (first,) = terminal.run("audit", "--person", "biden", "--changes", *STAFF, "--json").json["events"]
    assert (first["action"], first["faces"], first["match"]) == ("ENROLL", 1, None)
    assert terminal.run("audit", "--since", "2999-01-01", *STAFF).out == "0 events\n"


@pytest.mark.usefixtures("reviewed")
def test_a_small_collection_has_no_recall_to_measure(terminal: Terminal) -> None:
    assert terminal.run("measure-recall", *STAFF).out == "no index: every answer is exact\n"
    assert terminal.run("measure-recall", *STAFF, "--json").json["indexed"] is False
