"""What the check needs on a machine without network: packages, weights, photos and NVIDIA's libraries."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
MAX_WHEELS_MIB: Final = 400

LIBRARIES: Final = (
    "libcuda.so.1",
    "libcudart.so.13",
    "libcublas.so.13",
    "libcublasLt.so.13",
    "libcurand.so.10",
    "libnvrtc.so.13",
    "libcudnn.so.9",
)
"""What ONNX Runtime and cuDNN load; the first is the driver's."""

_FOLDERS: Final = (
    "/usr/local/cuda/lib64",
    "/usr/local/cuda/targets/x86_64-linux/lib",
    "/usr/local/nvidia/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib64",
)
_PART: Final = re.compile(r"(?P<wheel>.+\.whl)\.part-?(?P<number>\d+)")
_MEBIBYTE: Final = 2**20


def wheels_mib(folder: Path) -> float:
    """The size of all wheels in a folder and below, whole or in parts, in MiB."""
    return sum(path.stat().st_size for path in folder.rglob("*.whl*")) / _MEBIBYTE


def unpack(folder: Path, site: Path) -> None:
    """Unpack every wheel of a folder and below into `site`, which goes on Python's path.

    NAME.whl.part-00, -01 and so on, wherever they lie below the folder, are one wheel. No pip is needed.
    """
    site.mkdir(parents=True, exist_ok=True)
    for wheel in [*folder.rglob("*.whl"), *_joined(folder, site)]:
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(site)
        if wheel.parent == site:
            wheel.unlink()


def _joined(folder: Path, into: Path) -> Iterator[Path]:
    parts: dict[str, list[tuple[int, Path]]] = {}
    for path in folder.rglob("*.whl.part*"):
        if found := _PART.fullmatch(path.name):
            parts.setdefault(found["wheel"], []).append((int(found["number"]), path))
    for name, numbered in sorted(parts.items()):
        whole = into / name
        with whole.open("wb") as out:
            for _, path in sorted(numbered):
                out.write(path.read_bytes())
        yield whole


def register(site: Path) -> None:
    """Have the checkout's own packages found as installed, as the service reports their version."""
    if any(each.name == "facerec" for each in metadata.distributions()):
        return
    found = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert found is not None
    folder = site / f"facerec-{found[1]}.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: facerec\nVersion: {found[1]}\n")


def library_folders(python_path: Sequence[str]) -> dict[str, Path]:
    """Where each of NVIDIA's libraries lies: in wheels on Python's path, else in the system's folders."""
    wheels = [folder for entry in python_path for folder in Path(entry).glob("nvidia/*/lib")]
    listed = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    folders = [*wheels, *(Path(each) for each in (*listed, *_FOLDERS) if each), *_cached()]
    return {
        name: folder
        for name in LIBRARIES
        if (folder := next((each for each in folders if (each / name).exists()), None))
    }


def _cached() -> set[Path]:
    """The folders in the cache of the system's loader."""
    try:
        listed = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return set()
    return {Path(path).parent for path in re.findall(r"=> (\S+)", listed)}


def missing_packages(lock: Path, python_path: Sequence[str], *, weights: Path | None, gpu: bool) -> list[str]:
    """The packages of a lock that are not on Python's path; NVIDIA's may come from elsewhere."""
    pinned = re.findall(r"^([\w.-]+)==([^ \\]+)(?: ; ([^\\\n]+))?", lock.read_text(), re.MULTILINE)
    found = {_normal(each.name) for each in metadata.distributions(path=list(python_path))}
    left_out = {"onnxruntime-gpu"} if not gpu else set()
    return [
        f"{name} {version}"
        for name, version, marker in pinned
        if not name.startswith("nvidia-")
        and not (weights and name.startswith("face-recognition-models"))
        and "sys_platform == 'win32'" not in marker
        and name not in left_out
        and name not in found
    ]


def missing(python_path: Sequence[str], *, weights: Path | None, gpu: bool, photos: Path) -> list[str]:
    """Everything that the check needs and does not find, named."""
    lacking = missing_packages(ROOT / "requirements" / "gpu.lock", python_path, weights=weights, gpu=gpu)
    if weights and not (weights / "mmod_human_face_detector.dat").is_file():
        lacking.append(f"dlib's .dat files in {weights}")
    if not (photos / "obama.jpg").is_file():
        lacking.append(f"the sample photos in {photos}, which make demo downloads")
    if gpu:
        folders = library_folders(python_path)
        lacking += [f"{name} of NVIDIA" for name in LIBRARIES if name not in folders]
    return lacking


def environment(site: Path, weights: Path | None, *, gpu: bool) -> dict[str, str]:
    """The environment in which the parts of the check run."""
    added = [str(ROOT), str(site)]
    path = os.pathsep.join([*added, *filter(None, [os.environ.get("PYTHONPATH", "")])])
    changed = {"PYTHONPATH": path, "GRPC_VERBOSITY": "ERROR"}
    if weights:
        changed["ENCODER_WEIGHTS_DIR"] = str(weights)
    if gpu:
        folders = dict.fromkeys(str(each) for each in library_folders([*added, *sys.path]).values())
        earlier = filter(None, [os.environ.get("LD_LIBRARY_PATH", "")])
        changed["LD_LIBRARY_PATH"] = os.pathsep.join([*folders, *earlier])
    return dict(os.environ) | changed


def _normal(name: str | None) -> str:
    return re.sub(r"[-_.]+", "-", name or "").lower()
