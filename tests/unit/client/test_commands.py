"""The command line with no service, or with a misbehaving one."""

import asyncio
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import facerec
from facerec.cli import main
from facerec.cli.drawing.annotate import draw
from facerec.cli.transfer.photos import find_in
from facerec.client import BoundingBox, Candidate, IdentifiedFace
from facerec.errors import FacerecError, Reason
from tests.unit.client.flaky import PagedMatcher, serving

NOBODY = "127.0.0.1:1"


def photo_folder(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"a photo")
    return root


def test_help_and_version_load_neither_grpc_nor_numpy() -> None:
    script = (
        "import sys, facerec.cli; facerec.cli.main(['--version']); facerec.cli.main([]); "
        "print({'grpc', 'numpy', 'PIL', 'google.protobuf'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.startswith(f"facerec {facerec.__version__}\nUsage: facerec")
    assert run.stdout.endswith("set()\n")


@pytest.mark.parametrize("group", [(), ("people",), ("collections",), ("keys",)], ids=" ".join)
def test_no_help_line_of_a_command_is_cut_at_80_columns(
    group: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*group, "--help"]) == 0
    lines = capsys.readouterr().out.partition("Commands:\n")[2].splitlines()
    assert lines
    assert [line for line in lines if line.endswith("...") or len(line) > 80] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "ann"], "Missing argument 'IMAGE...'. (see facerec verify --help)"),
        (["verify", "ann", "-", "-"], "only one photo can come from standard input"),
        (["identify", "a.jpg", "a.jpg"], "several photos must be of one person: add --same-person"),
        (["identify", "a.jpg", "--largest-face"], "--largest-face needs --same-person"),
        (["identify", "a.jpg", "--same-person", "--annotate", "b.jpg"], "--annotate and --same-person"),
        (["duplicates", "--max-distance", "0.7"], "--max-distance"),
        (["verify", "ann", "gone.jpg"], "gone.jpg: no such file or directory"),
        (["verify", "ann", "empty.jpg"], "empty.jpg: the file is empty"),
        (["verify", "ann", "a.jpg", "--max-distance", "5"], "--max-distance"),
        (
            ["verify", "ann", "a.jpg", "--matcher", NOBODY],
            f"no matcher is ready at {NOBODY}: nothing listens there: start it with",
        ),
        (
            ["encode", "a.jpg", "--encoder", NOBODY],
            f"no encoder is ready at {NOBODY}: nothing listens there: start it with",
        ),
        (["enroll", "ann"], "name a person and their photos, or --folder DIR"),
        (["enroll", "--folder", "."], "no photos found; it should hold a folder per person"),
        (["enroll", "ann", "a.jpg", "--matcher", NOBODY], f"no matcher is ready at {NOBODY}"),
        (["identify", "a.jpg", "--annotate", "out.txt"], "out.txt: give the name of a picture"),
        (["identify", "a.jpg", "--annotate", "no/out.jpg"], "no/out.jpg: there is no folder no"),
        (["people", "delete", "ann"], "nothing was erased: there is no terminal to ask on"),
        (["people", "merge", "ann"], "Missing argument 'TARGET'. (see facerec people merge --help)"),
        (
            ["people", "merge", "a", "b", "--matcher", NOBODY],
            f"no matcher is ready at {NOBODY}: nothing listens there: start it with",
        ),
        (["collections", "delete", "staff"], "nothing was erased: there is no terminal to ask on"),
        (
            ["collections", "--matcher", NOBODY],
            f"no matcher is ready at {NOBODY}: nothing listens there: start it with",
        ),
        (["collections", "set", "a", "--target-recall", "0.4"], "--target-recall"),
        (["collections", "set", "a", "--duplicates", "ignore"], "--duplicates"),
        (["collections", "set", "a", "--retention", "1y"], "--retention 1y: give a duration such as"),
        (
            ["enroll", "ann", "a.jpg", "--expires", "2020-01-01"],
            "--expires 2020-01-01: the time is in the past",
        ),
    ],
)
def test_an_error_is_one_line_on_stderr_and_exit_code_2(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photo_folder(tmp_path, "a.jpg")
    (tmp_path / "empty.jpg").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_a_program_gets_the_error_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = photo_folder(tmp_path, "a.jpg") / "a.jpg"
    assert main(["verify", "ann", str(photo), "--matcher", NOBODY, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["reason"] == "UNREACHABLE"
    assert "facerec up" in error["message"]


async def test_a_busy_service_is_asked_again_until_the_photo_is_enrolled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo_folder(tmp_path, "ann/1.jpg", "ben/1.jpg", "ben/2.jpg")
    busy = FacerecError("busy", reason=Reason.OVERLOADED, retry_after_seconds=0.01)
    matcher = PagedMatcher(busy, refusals=5)
    async with serving(matcher=matcher) as server:
        arguments = ["enroll", "--folder", str(tmp_path), "--matcher", server.address, "--json"]
        assert await asyncio.to_thread(main, arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["enrolled"], matcher.calls) == (3, 8)
    assert [photo["person_id"] for photo in document["photos"]] == ["ann", "ben", "ben"]


async def test_a_folder_is_given_up_when_the_error_is_not_the_photos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo_folder(tmp_path, *(f"ann/{number}.jpg" for number in range(40)))
    matcher = PagedMatcher(FacerecError("gone", reason=Reason.COLLECTION_NOT_FOUND))
    async with serving(matcher=matcher) as server:
        arguments = ["enroll", "--folder", str(tmp_path), "--matcher", server.address, "--in-flight", "4"]
        assert await asyncio.to_thread(main, arguments) == 2
    assert capsys.readouterr().err == "error: gone\n"
    assert matcher.calls <= 8


def test_a_folder_of_people_gives_their_photos_and_nothing_else(tmp_path: Path) -> None:
    photo_folder(
        tmp_path, "ann/1.JPG", "ann/trip/2.png", "ann/.hidden.jpg", "ann/notes.txt", ".git/x.jpg", "loose.jpg"
    )
    folder = find_in(tmp_path)
    assert [(photo.person_id, photo.path.name) for photo in folder.photos] == [
        ("ann", "1.JPG"),
        ("ann", "2.png"),
    ]
    assert [path.name for path in folder.skipped] == ["notes.txt"]


async def test_a_photo_of_another_name_is_enrolled_and_other_files_are_named_as_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo_folder(tmp_path, "ann/1.jfif", "ann/notes.txt", "ann/old.db", "ann/BMW")
    with io.BytesIO() as out:
        Image.new("RGB", (8, 8)).save(out, "BMP")
        (tmp_path / "ann" / "IMG_0001").write_bytes(out.getvalue())
    (tmp_path / "ann" / "IMG_0002").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (tmp_path / "ann" / "BMW").write_bytes(b"BMW, the car in the first photo")
    matcher = PagedMatcher(FacerecError("busy", reason=Reason.OVERLOADED), refusals=0)
    async with serving(matcher=matcher) as server:
        arguments = ["enroll", "--folder", str(tmp_path), "--matcher", server.address]
        assert await asyncio.to_thread(main, arguments) == 0
        output = capsys.readouterr()
        assert await asyncio.to_thread(main, [*arguments, "--json"]) == 0
    assert "3 photos enrolled" in output.out
    assert output.err.startswith("skipped 3 files") and "notes.txt" in output.err and "BMW" in output.err
    skipped = [Path(path).name for path in json.loads(capsys.readouterr().out)["skipped"]]
    assert skipped == ["BMW", "notes.txt", "old.db"]


def test_a_box_is_drawn_where_the_face_is_in_the_upright_picture(tmp_path: Path) -> None:
    sideways = Image.new("RGB", (300, 200), "white")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees: upright it is 200 wide and 300 high
    data = io.BytesIO()
    sideways.save(data, "PNG", exif=exif)
    candidate = Candidate("ann", "Ann", 0.31, "")
    known = IdentifiedFace(0, BoundingBox(20, 150, 120, 50), (candidate,), "exact", True, 9)
    unknown = IdentifiedFace(0, BoundingBox(220, 190, 290, 120), (), "exact", True, 9)
    draw(data.getvalue(), [known, unknown], tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as drawn:
        assert drawn.size == (200, 300)
        assert drawn.getpixel((50, 70)) == (30, 140, 60), "the left edge of the known face's box"
        assert drawn.getpixel((190, 250)) == (190, 50, 40), "the right edge of the unknown one's"
        assert drawn.getpixel((100, 70)) == (255, 255, 255), "nothing inside the box"
        assert drawn.getpixel((10, 10)) == (255, 255, 255)


async def test_a_matcher_without_its_encoder_is_distinguished_from_an_absent_matcher(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = photo_folder(tmp_path, "a.jpg") / "a.jpg"
    matcher = PagedMatcher(FacerecError("no encoder", reason=Reason.ENCODER_UNAVAILABLE))
    async with serving(matcher=matcher) as server:
        arguments = ["enroll", "ann", str(photo), "--matcher", server.address]
        assert await asyncio.to_thread(main, arguments) == 2
        expected = f"error: the matcher at {server.address} cannot use its encoder: no encoder."
    assert capsys.readouterr().err.startswith(expected)


@pytest.mark.parametrize(
    ("words", "completed"), [("facerec peo", "people"), ("facerec people --pre", "--prefix")]
)
def test_a_shell_completes_commands_and_flags(words: str, completed: str) -> None:
    variables = {
        "_FACEREC_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    done = subprocess.run(
        [sys.executable, "-m", "facerec"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [completed]
