"""`facerec status` over a real stack, and without one."""

from collections.abc import Callable
from pathlib import Path

import pytest

import facerec
from tests.e2e.access.conftest import entry
from tests.e2e.cli.conftest import Prepared, Terminal
from tests.fixtures.matcher import MatcherProcess

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


def test_a_service_that_a_key_may_only_use_is_ready_and_one_without_a_key_says_how_to_set_it(
    make_database: Callable[[str], str],
    template_database: str,
    encoder_address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = tmp_path / "keys.toml"
    of_lab = 'collections = ["lab"]'
    keys.write_text(entry("door", "fr_door", ["verify"]) + entry("lab", "fr_lab", ["manage"], of_lab))
    database_url = make_database(template_database)
    server = MatcherProcess(database_url, "--encoder-address", encoder_address, "--keys-file", str(keys))
    try:
        server.event("database_ready")
        terminal = Terminal(encoder_address, server.address)
        without = terminal.run("people")
        assert (without.code, without.err.count("set FACEREC_API_KEY_FILE (or FACEREC_API_KEY)")) == (2, 1)
        monkeypatch.setenv("FACEREC_API_KEY", "fr_door")
        door = terminal.run("status")
        assert (door.code, door.err) == (0, "")
        assert door.out.endswith(f"matcher {server.address}: ready; the key may not see more\n")
        shown = terminal.run("status", "--json").json["matcher"]
        assert (shown["reachable"], shown["database_ready"], shown["problem"]) == (True, None, "")
        _check_whoami(terminal)
        monkeypatch.setenv("FACEREC_API_KEY", "fr_lab")
        assert "may not reach this collection" in terminal.run("status").out
    finally:
        server.stop()


def _check_whoami(terminal: Terminal) -> None:
    """The matcher has keys, of which the caller has `door`; the encoder has none."""
    shown = terminal.run("whoami", "--json").json
    assert (shown["encoder"]["caller"]["keys_required"], shown["matcher"]["problem"]) == (False, "")
    assert (shown["matcher"]["caller"]["name"], shown["matcher"]["caller"]["roles"]) == ("door", ["verify"])
    ran = terminal.run("whoami")
    assert ran.code == 0
    _, _, encoder, matcher = [line.split() for line in ran.out.splitlines()]
    assert encoder[:4] == ["encoder", "no", "key", "required"]
    assert matcher == ["matcher", "door", "verify", "all", "all", "no", "no", "never"]
    nowhere = Terminal(NOBODY, terminal.matcher)
    assert (nowhere.run("whoami").code, nowhere.run("whoami", "--json").json["encoder"]["caller"]) == (
        1,
        None,
    )
