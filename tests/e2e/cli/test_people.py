"""People at a terminal: listed by prefix, renamed, exported to a file, and their faces erased."""

import json
from pathlib import Path

import pytest

from facerec.client import MatcherClient
from tests.e2e.cli.conftest import Prepared, Ran, Terminal

CREW = ("--collection", "crew")


@pytest.fixture
def crew(prepared: Prepared, sample_photos: Path) -> None:
    """A collection of three people with a photo each."""
    photos = {"ann": "obama.jpg", "anna": "biden.jpg", "ben": "obama2.jpg"}
    prepared.collection("crew", {person: sample_photos / photo for person, photo in photos.items()})


@pytest.mark.usefixtures("crew")
def test_people_are_listed_by_prefix_and_up_to_a_limit(terminal: Terminal) -> None:
    def listed(*options: object) -> list[str]:
        persons = terminal.run("people", *options, *CREW, "--json").json["persons"]
        return [person["person_id"] for person in persons]

    assert listed() == ["ann", "anna", "ben"]
    assert listed("--prefix", "ann") == ["ann", "anna"]
    assert listed("--prefix", "ann", "--limit", 1) == ["ann"]
    assert listed("--limit", 2) == ["ann", "anna"]
    assert terminal.run("people", "--limit", 2, *CREW).out.endswith("\n2 people, and more\n")
    assert terminal.run("people", "--limit", 3, *CREW).out.endswith("\n3 people\n")
    assert terminal.run("people", *CREW).out.startswith("person  name  faces  created")
    assert terminal.run("people", "--prefix", "z", *CREW).out == "0 people\n"


@pytest.mark.usefixtures("crew")
def test_a_person_is_renamed(terminal: Terminal) -> None:
    assert terminal.run("people", "rename", "ann", "Ann Other", *CREW).out == "ann is now named Ann Other\n"
    renamed = terminal.run("people", "rename", "ann", "", *CREW, "--json")
    assert (renamed.code, renamed.json["person"]["display_name"]) == (0, "")
    unknown = terminal.run("people", "rename", "nobody", "X", *CREW, "--json")
    assert (unknown.code, unknown.json["error"]["reason"]) == (2, "PERSON_NOT_FOUND")


@pytest.mark.usefixtures("crew")
def test_labels_are_set_shown_listed_by_and_moved_by_an_export(
    terminal: Terminal, sample_photos: Path, tmp_path: Path
) -> None:
    def listed(*options: object) -> list[str]:
        persons = terminal.run("people", *options, *CREW, "--json").json["persons"]
        return [person["person_id"] for person in persons]

    enrolled = terminal.run("enroll", "ann", sample_photos / "obama2.jpg", "--label", "site=a", *CREW)
    assert enrolled.code == 0
    assert (
        terminal.run("people", "set-labels", "ben", "site=b", "team=x=y", *CREW).out
        == "ben: site=b, team=x=y\n"
    )
    changed = terminal.run("people", "set-labels", "ben", "--remove", "team", *CREW, "--json")
    assert changed.json["person"]["labels"] == {"site": "b"}
    assert (listed("--label", "site=a"), listed("--label", "site=a", "--label", "site=b")) == (
        ["ann"],
        ["ann", "ben"],
    )
    assert listed("--label", "site=a", "--label", "team=x") == []
    with MatcherClient(terminal.matcher) as client:
        client.update_person("ann", metadata={"shoe": 43}, display_name="Ann", collection_id="crew")
    assert listed("--name", "An") == ["ann"]
    assert listed("--query", "AN") == ["ann", "anna"]
    shown = terminal.run("people", "show", "ann", *CREW).out.splitlines()
    assert shown[:3] == ["ann (Ann): 2 faces", "labels: site=a", 'metadata: {"shoe": 43}']
    assert terminal.run("people", *CREW).out.splitlines()[0].endswith("  labels")
    for name in ("crew.npz", "crew.jsonl"):
        file = tmp_path / name
        assert terminal.run("export", file, *CREW).code == 0
        terminal.run("collections", "create", f"copy-{file.suffix[1:]}")
        copy = ("--collection", f"copy-{file.suffix[1:]}")
        assert terminal.run("import", file, *copy).code == 0
        persons = terminal.run("people", *copy, "--json").json["persons"]
        assert [(each["labels"], each["metadata"]) for each in persons] == [
            ({"site": "a"}, {"shoe": 43}),
            ({}, {}),
            ({"site": "b"}, {}),
        ]
        terminal.run("collections", "delete", copy[1], "--yes")
    refused = terminal.run("people", "set-labels", "ben", "site", *CREW)
    assert (refused.code, refused.err) == (2, "error: site is no label: write KEY=VALUE, as in site=berlin\n")
    assert terminal.run("people", "set-labels", "ben", *CREW).code == 2


@pytest.mark.usefixtures("crew")
def test_a_person_is_suspended_listed_and_moved_by_an_export_and_resumed(
    terminal: Terminal, sample_photos: Path, tmp_path: Path
) -> None:
    def listed(*options: object) -> list[str]:
        persons = terminal.run("people", *options, *CREW, "--json").json["persons"]
        return [person["person_id"] for person in persons]

    photo = sample_photos / "obama.jpg"
    assert terminal.run("people", "suspend", "ann", *CREW).out == "ann is suspended\n"
    assert (listed("--suspended"), listed("--active")) == (["ann"], ["anna", "ben"])
    assert terminal.run("people", *CREW).out.splitlines()[0].endswith("  state")
    assert terminal.run("people", "show", "ann", *CREW).out.startswith("ann: 1 face, suspended\n")
    refused = terminal.run("verify", "ann", photo, *CREW, "--json")
    assert (refused.code, refused.json["error"]["reason"]) == (2, "PERSON_SUSPENDED")
    resume = "facerec people resume ann --collection crew"
    assert refused.err == f"error: ann: the person is suspended; `{resume}` takes it back\n"
    found = terminal.run("identify", photo, *CREW, "--json").json["faces"][0]["candidates"]
    assert [each["person_id"] for each in found] == ["ben"]
    for name in ("crew.npz", "crew.jsonl"):
        assert terminal.run("export", tmp_path / name, *CREW).code == 0
        copy = ("--collection", f"copy-{name[5:]}".replace(".", ""))
        terminal.run("collections", "create", copy[1])
        assert terminal.run("import", tmp_path / name, *copy).code == 0
        persons = terminal.run("people", *copy, "--json").json["persons"]
        assert [each["suspended"] for each in persons] == [True, False, False]
        terminal.run("collections", "delete", copy[1], "--yes")
    resumed = terminal.run(*resume.split()[1:], "--json")
    assert (resumed.code, resumed.json["person"]["suspended"]) == (0, False)
    assert terminal.run("verify", "ann", photo, *CREW).code == 0


@pytest.mark.usefixtures("crew")
def test_a_person_is_compared_and_searched_for_by_all_of_their_faces(
    terminal: Terminal, sample_photos: Path, tmp_path: Path
) -> None:
    alike = terminal.run("identify", "person:ann", *CREW)
    assert (alike.code, alike.out.splitlines()[-1]) == (0, "1 other person within the threshold 0.500")
    assert alike.out.splitlines()[2].startswith("ben ")
    (face,) = terminal.run("identify", "person:ann", *CREW, "--json").json["faces"]
    assert face["candidates"][0]["probe_face_id"]
    assert terminal.run("identify", "person:anna", *CREW).code == 1
    both = terminal.run("compare", "person:ann", "person:ben", *CREW, "--json")
    assert (both.code, bool(both.json["face_id_a"]), bool(both.json["face_id_b"])) == (0, True, True)
    mixed = terminal.run("compare", sample_photos / "biden.jpg", "person:ann", *CREW)
    assert (mixed.code, mixed.out[:9]) == (1, "no match:")
    drawn = terminal.run("identify", "person:ann", "--annotate", tmp_path / "out.jpg", *CREW)
    assert (drawn.code, "is a person" in drawn.err) == (2, True)


@pytest.mark.usefixtures("crew")
def test_an_error_says_which_id_it_is_about(terminal: Terminal, sample_photos: Path) -> None:
    def said(*command: object) -> str:
        return terminal.run(*command).err

    nobody = "error: {}: the collection has no person with this id\n"
    photo = sample_photos / "obama.jpg"
    assert said("verify", "nobody", photo, *CREW) == nobody.format("nobody")
    assert said("identify", "person:noface", *CREW) == nobody.format("noface")
    assert said("compare", photo, "person:no", *CREW) == nobody.format("no")
    assert said("compare", "person:none", "person:no", *CREW) == nobody.format("none")
    assert said("people", "show", "noone", *CREW) == nobody.format("noone")
    assert said("people", "merge", "x", "ann", *CREW) == nobody.format("x")
    assert said("people", "merge", "ann", "y", *CREW) == nobody.format("y")
    assert said("duplicates", "--dismiss", "ann", "z", *CREW) == nobody.format("z")
    assert said("people", "--collection", "nowhere").startswith("error: nowhere: there is no such collection")
    assert said("enroll", "ann", photo, "--collection", "none").startswith("error: none: there is no such")
    assert said("collections", "create", "Crew").startswith("error: Crew: a collection id must be")


@pytest.mark.usefixtures("crew")
def test_all_times_are_shown_in_utc_and_say_so(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    (face,) = terminal.run("people", "show", "ann", *CREW, "--json").json["faces"]
    changed = terminal.run(
        *("people", "update-face", face["face_id"], "--expires", "2099-01-31T18:00+01:00", *CREW)
    )
    assert "expires 2099-01-31 17:00 UTC, " in changed.out
    assert "  2099-01-31 17:00 UTC  " in terminal.run("people", "show", "ann", *CREW).out


@pytest.mark.usefixtures("crew")
def test_a_photo_enrolled_again_keeps_its_expire_time_and_the_command_says_so(
    terminal: Terminal, sample_photos: Path
) -> None:
    again = terminal.run("enroll", "ann", sample_photos / "obama.jpg", "--expires", "30d", *CREW)
    assert again.out == "0 photos enrolled, 1 already there, 0 refused; 1 person\n"
    assert again.err.startswith(
        "1 photo was already enrolled and keeps its expiry: `facerec people update-face"
    )


@pytest.mark.parametrize("group", ["people", "collections"])
def test_a_list_subcommand_is_refused_with_the_command_that_lists(terminal: Terminal, group: str) -> None:
    ran = terminal.run(group, "list")
    assert (ran.code, f"`facerec {group}` alone lists them" in ran.err) == (2, True)


@pytest.mark.usefixtures("crew")
def test_a_face_is_erased_only_after_a_confirmation(terminal: Terminal) -> None:
    (face,) = terminal.run("people", "show", "ann", *CREW, "--json").json["faces"]
    unasked = terminal.run("people", "delete-face", face["face_id"], *CREW)
    assert (unasked.code, "there is no terminal to ask on" in unasked.err) == (2, True)
    erased = terminal.run("people", "delete-face", face["face_id"], "--yes", *CREW, "--json")
    assert (erased.code, erased.json["faces_deleted"], erased.json["state"]) == (0, 1, "pending")
    again = terminal.run("people", "delete-face", face["face_id"], "--yes", *CREW)
    assert (again.code, again.out) == (0, f"nothing to erase: there is no face {face['face_id']}\n")
    assert terminal.run("people", "show", "ann", *CREW, "--json").json["faces"] == []


@pytest.mark.usefixtures("crew")
def test_a_face_is_shown_and_its_reference_and_expire_time_are_changed(terminal: Terminal) -> None:
    (listed,) = terminal.run("people", "show", "ann", *CREW, "--json").json["faces"]
    face = listed["face_id"]
    assert terminal.run("people", "show-face", face, *CREW, "--json").json["face"] == listed
    changed = terminal.run(
        "people", "update-face", face, "--reference", "badge 7", "--expires", "30d", *CREW, "--json"
    ).json["face"]
    assert changed["external_ref"] == "badge 7"
    assert changed["expire_time"] is not None
    kept = terminal.run("people", "update-face", face, "--expires", "never", *CREW)
    quality = ", ".join(each.lower().replace("_", " ") for each in listed["quality"]["reasons"]) or "good"
    assert kept.out == f"{face} of ann, badge 7: never expires, quality: {quality}\n"
    assert terminal.run("people", "show", "ann", *CREW).out.rstrip().endswith(f"  {quality}")
    nothing = terminal.run("people", "update-face", face, *CREW)
    assert (nothing.code, "give --reference or --expires" in nothing.err) == (2, True)
    gone = terminal.run("people", "show-face", "01930f5e-6f0c-7d2b-9f4e-0c8f5f3f7b11", *CREW, "--json")
    assert (gone.code, gone.json["error"]["reason"]) == (2, "STORED_FACE_NOT_FOUND")


@pytest.mark.usefixtures("crew")
def test_one_person_s_data_is_written_to_a_file_or_to_stdout(terminal: Terminal, tmp_path: Path) -> None:
    target = tmp_path / "ann.json"
    printed = terminal.run("people", "export", "ann", *CREW, "--json").json
    assert (printed["person"]["person_id"], len(printed["faces"])) == ("ann", 1)
    assert len(printed["faces"][0]["encoding"]["values"]) == 128  # without keys everybody is an admin
    assert (
        terminal.run("people", "export", "ann", target, *CREW).out == f"ann and 1 face written to {target}\n"
    )
    assert json.loads(target.read_text())["faces"] == printed["faces"]
    assert target.stat().st_mode & 0o777 == 0o600
    again = terminal.run("people", "export", "ann", target, *CREW)
    assert (again.code, "--force replaces it" in again.err) == (2, True)
    assert terminal.run("people", "export", "nobody", tmp_path / "x.json", *CREW).code == 2
    assert not (tmp_path / "x.json").exists()


@pytest.mark.usefixtures("crew")
def test_an_export_replaces_a_file_only_when_asked_to(terminal: Terminal, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("somebody's own")
    refused = terminal.run("export", target, *CREW, "--json")
    assert (refused.code, refused.json["error"]["reason"]) == (2, "FILE")
    assert "--force replaces it" in refused.err
    assert target.read_text() == "somebody's own"
    assert terminal.run("export", target, *CREW, "--force", "--json").json["faces"] == 3
    assert target.read_text().count("person_id") == 3


def test_a_photo_is_read_from_standard_input(
    terminal: Terminal, prepared: Prepared, sample_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared.collection("crew")

    def piped(name: str, *command: object) -> Ran:
        with (sample_photos / name).open() as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            return terminal.run(*command, *CREW)

    enrolled = piped("obama.jpg", "enroll", "ann", "-", "--json")
    assert (enrolled.code, enrolled.json["photos"][0]["status"]) == (0, "enrolled")
    (face,) = terminal.run("people", "show", "ann", *CREW, "--json").json["faces"]
    assert face["external_ref"] == ""
    assert piped("obama2.jpg", "verify", "ann", "-").code == 0
    assert piped("obama2.jpg", "compare", sample_photos / "obama.jpg", "-").code == 0
    twice = piped("obama2.jpg", "compare", "-", "-")
    assert (twice.code, "name a file for the other" in twice.err) == (2, True)
