"""The command for a GPU does on a CPU all that a CPU can, names what is missing, and hides no failure."""

import json
import zipfile
from pathlib import Path

import pytest

from tests.benchmarks.gpu import __main__ as command
from tests.benchmarks.gpu import machine


def test_a_rehearsal_on_the_cpu_runs_every_part_and_writes_its_figures(
    sample_photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "figures.json"
    assert command.main(["--provider", "cpu", "--json", str(written)]) == 0, capsys.readouterr().out
    found = json.loads(written.read_text())
    parts = {row["part"] for row in found["rows"]}
    assert {"vectors", "chips a second", "CNN boxes", "CNN pictures a second", "service"} <= parts
    verdicts = {(row["part"], row["what"]): row["verdict"] for row in found["rows"]}
    assert verdicts["golden chip", "float32, two in flight"] == "ok"
    assert verdicts["failures", "out of memory, CUDA error"] == "skipped"
    (distance,) = [row["figure"] for row in found["rows"] if row["part"] == "vectors"]
    assert distance == "0.0e+00 apart at most"
    rates = [float(row["figure"]) for row in found["rows"] if row["part"] == "end to end, pictures a second"]
    assert min(rates) > 0
    assert f"| end to end, pictures a second | 640 x 480, 4 client threads | {rates[0]:.0f} |" in (
        capsys.readouterr().out
    )


def test_what_is_missing_is_named_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "libcuda.so.1" in machine.library_folders([]):
        pytest.skip("nothing is missing where there is a GPU")
    empty = tmp_path / "weights"
    assert command.main(["--json", str(tmp_path / "figures.json"), "--weights", str(empty)]) == 2
    said = capsys.readouterr().err
    assert "libcuda.so.1 of NVIDIA" in said
    assert f"dlib's .dat files in {empty}" in said
    assert not (tmp_path / "figures.json").exists()


def test_a_part_that_takes_too_long_or_ends_has_failed(
    sample_photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "figures.json"
    assert command.main(["--provider", "cpu", "--json", str(written), "--seconds", "0", "networks"]) == 1
    (row,) = json.loads(written.read_text())["rows"]
    assert (row["verdict"], row["figure"]) == ("FAILED", "its 0 seconds were over")


def test_wheels_are_unpacked_whole_or_from_parts_in_any_folder(tmp_path: Path) -> None:
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    for part in ("1", "2"):
        (wheels / part).mkdir(parents=True)
    with zipfile.ZipFile(wheels / "1" / "whole-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("whole/__init__.py", "")
    with zipfile.ZipFile(tmp_path / "split.whl", "w") as wheel:
        wheel.writestr("split/__init__.py", "value = 1")
    data = (tmp_path / "split.whl").read_bytes()
    for number, part in enumerate(("2", "1")):
        half = data[: len(data) // 2] if number == 0 else data[len(data) // 2 :]
        (wheels / part / f"split-1-py3-none-any.whl.part-0{number}").write_bytes(half)
    machine.unpack(wheels, site)
    assert sorted(path.relative_to(site).as_posix() for path in site.rglob("*.*")) == [
        "split/__init__.py",
        "whole/__init__.py",
    ]
    assert (site / "split" / "__init__.py").read_text() == "value = 1"


def test_wheels_beyond_the_limit_are_refused_with_their_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "large.whl").open("wb") as file:
        file.truncate((machine.MAX_WHEELS_MIB + 1) * 2**20)
    assert command.main(["--wheels", str(tmp_path)]) == 2
    assert "wheels: 401 MiB of at most 400" in capsys.readouterr().out
