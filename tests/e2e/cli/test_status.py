"""`facerec status` over a real stack, and without one."""

from pathlib import Path

import facerec
from tests.e2e.cli.conftest import Prepared, Terminal

NOBODY = "127.0.0.1:1"


def test_both_services_are_reported_ready_with_release_space_and_faces(
    terminal: Terminal, prepared: Prepared, sample_photos: Path
) -> None:
    prepared.collection("states", {"ann": sample_photos / "obama.jpg"})
    ran = terminal.run("status", "--collection", "states", "--json")
    assert ran.code == 0
    assert ran.json["encoder"] == {
        "address": terminal.encoder,
        "reachable": True,
        "release": facerec.__version__,
        "space": "dlib-resnet-v1/small/150x0.25",
        "problem": "",
    }
    assert (ran.json["matcher"]["database_ready"], ran.json["matcher"]["problem"]) == (True, "")
    lines = terminal.run("status").out.splitlines()
    assert [line.split(":")[-1].split(",")[0] for line in lines] == [" ready", " ready"]


def test_each_unusable_service_is_reported_with_its_problem_and_exit_code_1(terminal: Terminal) -> None:
    ran = terminal.run("status", "--encoder", NOBODY, "--json")
    assert (ran.code, ran.json["encoder"]["reachable"], ran.json["matcher"]["reachable"]) == (1, False, True)
    assert "nothing listens there" in ran.json["encoder"]["problem"]
    unknown = terminal.run("status", "--collection", "nowhere", "--json")
    assert (unknown.code, unknown.json["matcher"]["database_ready"]) == (1, True)
    assert unknown.json["matcher"]["estimated_faces"] is None
    neither = Terminal(NOBODY, NOBODY).run("status")
    assert (neither.code, neither.out.count("nothing listens there"), neither.err) == (1, 2, "")
    assert [line.count(NOBODY) for line in neither.out.splitlines()] == [1, 1]


def test_a_collection_whose_space_the_encoder_does_not_compute_is_reported(terminal: Terminal) -> None:
    assert not terminal.run("collections", "create", "foreign", "--space", "other/space/1", "--json").code
    ran = terminal.run("status", "--collection", "foreign", "--json")
    assert ran.code == 1
    assert ran.json["matcher"]["problem"] == (
        "foreign has the space other/space/1, which the encoder does not offer"
    )
