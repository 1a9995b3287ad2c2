"""The commands one after another over a real stack, as in the README."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facerec.cli.drawing.annotate import KNOWN
from facerec.cli.local.temporary import temporary_stack
from tests.benchmarks.vectors import Dataset
from tests.e2e.cli.conftest import Ran, Terminal


@pytest.fixture(scope="module")
def terminal() -> Iterator[Terminal]:
    """As `facerec demo` has it: everything for a while."""
    with temporary_stack() as (encoder, matcher):
        yield Terminal(encoder, matcher)


@pytest.fixture(scope="module")
def enrolled(terminal: Terminal, album: Path) -> Ran:
    return terminal.run("enroll", "--folder", album, "--json")


def test_a_folder_is_enrolled_and_each_refused_photo_is_named_with_its_reason(
    enrolled: Ran, album: Path
) -> None:
    assert enrolled.code == 1
    document = enrolled.json
    assert (document["enrolled"], document["already_enrolled"], document["refused"]) == (3, 0, 2)
    outcomes = {Path(photo["image"]).name: (photo["status"], photo["reason"]) for photo in document["photos"]}
    assert outcomes == {
        "biden.jpg": ("enrolled", ""),
        "note.jpg": ("refused", "IMAGE_INVALID"),
        "hands.jpg": ("refused", "FACE_NOT_FOUND"),
        "obama.jpg": ("enrolled", ""),
        "obama2.jpg": ("enrolled", ""),
    }
    lines = sorted(enrolled.err.splitlines())
    assert [line.split(": ")[0] for line in lines] == [
        f"refused {album / 'biden' / 'note.jpg'}",
        f"refused {album / 'obama' / 'hands.jpg'}",
    ]
    assert [line.split("[")[-1] for line in lines] == ["IMAGE_INVALID]", "FACE_NOT_FOUND]"]


@pytest.mark.usefixtures("enrolled")
def test_the_same_folder_again_adds_nothing(terminal: Terminal, album: Path) -> None:
    again = terminal.run("enroll", "--folder", album)
    assert (again.code, again.out) == (
        1,
        "0 photos enrolled, 3 already there, 2 refused; 2 people\n",
    )


@pytest.mark.usefixtures("enrolled")
def test_a_true_claim_exits_0_a_false_one_1_and_an_unknown_person_2(
    terminal: Terminal, sample_photos: Path, face_recognition: Any
) -> None:
    photo = sample_photos / "obama_partial_face.jpg"
    vectors = [
        face_recognition.face_encodings(face_recognition.load_image_file(sample_photos / name))[0]
        for name in ("obama.jpg", "obama2.jpg", photo.name)
    ]
    true = terminal.run("verify", "obama", photo, "--json")
    assert (true.code, true.json["match"], true.json["faces_compared"]) == (0, True, 2)
    assert true.json["distance"] == pytest.approx(
        min(face_recognition.face_distance(vectors[:2], vectors[2])), abs=1e-5
    )
    assert (true.json["threshold"], true.json["person_id"]) == (0.6, "obama")
    false = terminal.run("verify", "biden", photo)
    assert (false.code, false.out.split(":")[0]) == (1, "no match")
    strict = terminal.run("verify", "obama", photo, "--max-distance", "0.2", "--json")
    assert (strict.code, strict.json["match"], strict.json["threshold"]) == (1, False, 0.2)
    second = sample_photos / "obama2.jpg"
    several = terminal.run("verify", "obama", photo, second)
    assert several.code == 0
    assert several.out.startswith(f"match: 2 photos ({photo} and {second}) are of obama (distance")
    other = sample_photos / "biden.jpg"
    mixed = terminal.run("verify", "obama", photo, other, "--max-distance", "0.4")
    assert (mixed.code, mixed.out.split(" (")[0]) == (1, "no match: 2 photos")
    assert " are not of obama (distance" in mixed.out
    person = terminal.run("identify", "--same-person", photo, sample_photos / "obama2.jpg")
    assert (person.code, "obama" in person.out, "biden" in person.out) == (0, True, False)
    unknown = terminal.run("verify", "nobody", photo, "--json")
    assert (unknown.code, unknown.json["error"]["reason"]) == (2, "PERSON_NOT_FOUND")
    assert (unknown.err.count("\n"), unknown.err.startswith("error: ")) == (1, True)


@pytest.mark.usefixtures("enrolled")
def test_every_known_person_in_a_picture_is_named_and_drawn(
    terminal: Terminal, group: Path, tmp_path: Path
) -> None:
    drawn = tmp_path / "drawn.png"
    ran = terminal.run("identify", group, "--annotate", drawn, "--json")
    faces = sorted(ran.json["faces"], key=lambda face: int(face["bounding_box"]["left"]))
    assert [face["candidates"][0]["person_id"] for face in faces] == ["obama", "biden"]
    assert (ran.code, ran.json["threshold"], faces[0]["faces_searched"], faces[0]["exact"]) == (
        0,
        0.5,
        3,
        True,
    )
    with Image.open(group) as before, Image.open(drawn) as after:
        assert before.size == after.size
        changed = (np.asarray(before) != np.asarray(after)).any(axis=2)
        for face in faces:
            box = face["bounding_box"]
            row = (box["top"] + box["bottom"]) // 2
            assert after.getpixel((box["left"], row)) == KNOWN
            assert changed[row, box["left"]]
            assert not changed[row, (box["left"] + box["right"]) // 2]
    table = terminal.run("identify", group)
    assert (table.code, "obama" in table.out, "biden" in table.out) == (0, True, True)


@pytest.mark.usefixtures("enrolled")
def test_a_picture_without_a_known_person_exits_1(terminal: Terminal, album: Path, group: Path) -> None:
    assert terminal.run("identify", album / "obama" / "hands.jpg").code == 1
    nobody = terminal.run("identify", group, "--max-distance", "0.01")
    assert (nobody.code, nobody.out.count("nobody")) == (1, 2)


def test_commands_pass_the_staleness_that_they_allow_to_the_matcher(
    terminal: Terminal, group: Path, tmp_path: Path
) -> None:
    """It allows 300 s."""
    for command in (
        ("identify", group),
        ("calibrate",),
        ("measure-recall",),
        ("duplicates",),
        ("export", tmp_path / "out.npz"),
    ):
        refused = terminal.run(*command, "--max-staleness", "301")
        assert (refused.code, "consistency.max_staleness must be" in refused.err) == (2, True), command
    assert terminal.run("duplicates", "--max-staleness", "300").code == 0


def test_two_photos_are_compared(terminal: Terminal, sample_photos: Path) -> None:
    same = terminal.run("compare", sample_photos / "obama.jpg", sample_photos / "obama2.jpg", "--json")
    assert (same.code, same.json["match"]) == (0, True)
    assert same.json["distance"] == pytest.approx(0.3457, abs=1e-3)
    assert terminal.run("compare", sample_photos / "obama.jpg", sample_photos / "biden.jpg").code == 1


def test_an_error_names_the_ambiguous_photo_of_the_two(
    terminal: Terminal, sample_photos: Path, group: Path
) -> None:
    ran = terminal.run("compare", sample_photos / "obama.jpg", group)
    assert (ran.code, ran.err) == (
        2,
        f"error: {group}: it shows several faces; --largest-face uses the largest\n",
    )
    assert terminal.run("compare", sample_photos / "obama.jpg", group, "--largest-face").code in (0, 1)


def test_the_faces_of_a_photo_are_encoded(terminal: Terminal, sample_photos: Path) -> None:
    ran = terminal.run("encode", sample_photos / "obama.jpg", "--json")
    (face,) = ran.json["faces"]
    assert (ran.code, ran.json["image_width"], ran.json["image_height"]) == (0, 910, 1137)
    assert face["bounding_box"] == {"top": 142, "right": 617, "bottom": 409, "left": 349}
    assert face["encoding"]["space"] == "dlib-resnet-v1/small/150x0.25"
    assert face["encoding"]["values"][:3] == pytest.approx([-0.091434, 0.130861, 0.013144], abs=1e-5)
    assert len(face["encoding"]["values"]) == 128


@pytest.mark.usefixtures("enrolled")
def test_people_are_listed_shown_and_erased(terminal: Terminal, sample_photos: Path) -> None:
    added = terminal.run("enroll", "ann", sample_photos / "obama.jpg", "--name", "Ann Other", "--json")
    assert (added.code, added.json["photos"][0]["status"]) == (0, "enrolled")
    listed = terminal.run("people", "--json").json["persons"]
    assert [(p["person_id"], p["display_name"], p["face_count"]) for p in listed] == [
        ("ann", "Ann Other", 1),
        ("biden", "", 1),
        ("obama", "", 2),
    ]
    shown = terminal.run("people", "show", "ann", "--json").json
    assert (shown["person"]["person_id"], [f["external_ref"] for f in shown["faces"]]) == (
        "ann",
        ["obama.jpg"],
    )
    assert shown["faces"][0]["face_id"] == added.json["photos"][0]["face_id"]
    erased = terminal.run("people", "delete", "ann", "--yes", "--json")
    assert (erased.code, erased.json["persons_deleted"], erased.json["faces_deleted"]) == (0, 1, 1)
    again = terminal.run("people", "delete", "ann", "--yes")
    assert (again.code, again.out) == (0, "nothing to erase: there is no person ann\n")
    assert terminal.run("people", "show", "ann").code == 2
    assert terminal.run("people").out.splitlines()[-1] == "2 people"


@pytest.mark.usefixtures("enrolled")
def test_an_import_says_that_it_does_not_check_for_duplicates_if_they_are_refused(
    terminal: Terminal, tmp_path: Path
) -> None:
    assert not terminal.run("collections", "create", "refusing", "--duplicates", "refuse").code
    faces = Dataset(4, photos=1, even=True, seed=3).all()
    people = np.array([f"p{number}" for number in faces.people])
    np.savez(tmp_path / "in.npz", encodings=faces.encodings, person_ids=people)
    command = ("import", tmp_path / "in.npz", "--collection", "refusing")
    refused = terminal.run(*command)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "ignore_duplicate_policy" in refused.err
    moved = terminal.run(*command, "--ignore-duplicate-policy", "--json")
    assert (moved.code, moved.json["faces_added"]) == (0, 4)
    folder = terminal.run("import", tmp_path, "--ignore-duplicate-policy")
    assert (folder.code, "duplicate policy" in folder.err) == (2, True)


def test_a_calibration_on_too_few_people_says_how_many_it_needs(terminal: Terminal) -> None:
    refused = terminal.run("calibrate")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "142 persons" in refused.err


def test_a_collection_is_calibrated_and_plotted_and_its_thresholds_are_applied(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.run("collections", "create", "calibrated")
    faces = Dataset(200, photos=2, even=True, seed=9).all()
    people = np.array([f"p{number}" for number in faces.people])
    np.savez(tmp_path / "in.npz", encodings=faces.encodings, person_ids=people)
    moved = terminal.run("import", tmp_path / "in.npz", "--collection", "calibrated", "--json")
    assert (moved.code, moved.json["faces_added"]) == (0, 400)
    picture = tmp_path / "rates.png"
    calibrate = ("calibrate", "--target-fmr", "0.01", "--collection", "calibrated")
    drawn = terminal.run(*calibrate, "--plot", picture, "--photos", "1")
    assert (drawn.code, "nothing was changed" in drawn.out) == (0, True)
    assert "root mean square" in drawn.out
    with Image.open(picture) as opened:
        assert opened.size[0] > 800
    applied = terminal.run(*calibrate, "--apply", "--json", "--request-id", "again")
    repeated = terminal.run(*calibrate, "--json", "--request-id", "again")
    assert repeated.json["calibration"] == applied.json["calibration"]
    threshold = applied.json["applied"]["verify_threshold"]
    assert threshold == applied.json["calibration"]["verify"]["threshold"]
    ruled = terminal.run(*calibrate, "--apply", "--score-rule", "root-mean-square", "--json")
    assert ruled.json["applied"]["score_rule"] == "root_mean_square"
    threshold = ruled.json["applied"]["verify_threshold"]
    assert [each["photos"] for each in ruled.json["calibration"]["scores"]] == [1, 1]
    shown = terminal.run("collections", "show", "calibrated", "--json")
    assert shown.json["collection"]["settings"]["verify_threshold"] == threshold
    exported = terminal.run("export", tmp_path / "out.jsonl", "--collection", "calibrated", "--json")
    assert exported.json["faces"] == 400
    alone = terminal.run(*calibrate, "--group-label", "site")
    assert (alone.code, "--group-label site: nobody with a face has the label" in alone.err) == (2, True)
    named = ("people", "set-labels", "p0", "site=oslo", "--collection", "calibrated")
    assert terminal.run(*named).code == 0
    grouped = terminal.run(*calibrate, "--group-label", "site")
    assert "oslo" not in grouped.out
    assert "1 group left out: with fewer than 20 people" in grouped.out
    assert "(without the label)" in grouped.out
    assert "no other group to compare it with" in grouped.out
    assert "between" not in grouped.out
