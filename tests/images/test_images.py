"""What an image holds, and what not."""

import os
import re
import tomllib
from collections.abc import Mapping
from tarfile import REGTYPE

import pytest

import facerec
from tests.images import docker
from tests.images.docker import BASE, MARK, ROOT, File

# Of our own files and the compiled modules: what they were when this was written, and 5 % more.
MAX_MEGABYTES = {"matcher": 180, "gateway": 200, "encoder": 335, "encoder-gpu": 2900}
SET_ID, WRITABLE = 0o6000, 0o002
INSTALLER = re.compile(
    r"(^|/)(pip|setuptools|wheel|ensurepip|_distutils_hack|pkg_resources)(-[\d.]+\.dist-info)?/"
)
INSTALLING = re.compile(r"bin/(pip|wheel|easy_install)[\d.]*$")
COMPILER = re.compile(r"bin/([\w-]+-)?(gcc|g\+\+|cc|c\+\+|clang|ld|as|make|f2py|gfortran)(-[\d.]+)?$")
TEST = re.compile(r"^(opt/facerec|usr/local)/.*/tests?/")
MODULE = re.compile(r"^(opt/facerec|usr/local)/lib/.*\.py$")
COMPILED = re.compile(r"__pycache__/(.*)\.cpython-\d+\.pyc$")
# Loads what ONNX Runtime would on a GPU, and prints what is missing.
CUDA = """
import ctypes, pathlib
from encoder_service.embedding.runtime import onnxruntime
onnxruntime.preload_dlls()
shared, cuda = (f'libonnxruntime_providers_{name}.so' for name in ('shared', 'cuda'))
folder = pathlib.Path(onnxruntime.__file__).parent / 'capi'
ctypes.CDLL(folder / shared, mode=ctypes.RTLD_GLOBAL)
try:
    ctypes.CDLL(folder / cuda)
except OSError as error:
    print(error)
"""
UNCHECKED = 0b01  # in a compiled module's second word: identified by its source's hash, which is not compared
SECRET = re.compile(r"(?i)password|token|api_?key|index-url|://[^/ ]+@")


def named(image: str) -> str:
    """The name of the image's Dockerfile."""
    return image.removeprefix("facerec-").removesuffix(":checked")


def test_an_image_runs_as_a_user_who_owns_nothing_and_may_write_nothing_in_it(
    image: str, files: Mapping[str, File]
) -> None:
    assert docker.inspect(image)["Config"]["User"] == "10001:10001"
    assert not [path for path, file in files.items() if 10001 in {file.uid, file.gid}]
    regular = [path for path, file in files.items() if file.kind == REGTYPE]
    assert len(regular) > 5000
    assert not [path for path in regular if files[path].mode & (SET_ID | WRITABLE)]


def test_an_image_has_no_installer_no_compiler_and_no_tests(files: Mapping[str, File]) -> None:
    for unwanted in (INSTALLER, INSTALLING, COMPILER, TEST):
        assert not [path for path in files if unwanted.search(path)]
    assert {"opt/facerec/bin/facerec", "opt/facerec/readiness_probe.py"} <= set(files)


def test_every_module_is_compiled_and_not_compared_with_its_source(
    image: str, files: Mapping[str, File]
) -> None:
    modules = {path for path in files if MODULE.search(path)}
    assert len(modules) > 1000
    assert modules <= {COMPILED.sub(r"\1.py", path) for path in files}
    program = (
        "import facerec, socket, sys; [print(open(m.__cached__, 'rb').read(8)[4]) for m in (facerec, socket)]"
    )
    flags = docker.docker("run", "--rm", "--entrypoint=python", image, "-c", program).split()
    assert flags == [str(UNCHECKED)] * 2


def test_an_image_is_described_by_its_labels(image: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    labels = docker.inspect(image)["Config"]["Labels"]
    described = {name.removeprefix("org.opencontainers.image."): text for name, text in labels.items()}
    assert described.pop("description")
    assert described == {
        "title": f"facerec-{named(image)}",
        "version": facerec.__version__,
        "licenses": project["license"],
        "revision": "checked",
        "base.name": BASE,
    }


def test_no_secret_of_the_build_is_in_an_image(image: str) -> None:
    history = docker.docker("history", "--no-trunc", "--format={{.CreatedBy}}", image)
    assert "HEALTHCHECK" in history
    assert not SECRET.search(history)
    assert MARK not in history + str(docker.inspect(image))
    search = f"grep --recursive --files-with-matches --exclude-dir=proc --exclude-dir=sys {MARK} / || true"
    assert not docker.docker("run", "--rm", "--user=0", "--entrypoint=sh", image, "-c", search)


@pytest.mark.skipif(not os.environ.get("GPU"), reason="GPU=1 builds it")
def test_the_image_for_gpus_lacks_nothing_but_the_driver_of_the_machine() -> None:
    docker.build("encoder-gpu", "facerec-encoder-gpu:checked")
    missing = docker.docker("run", "--rm", "--entrypoint=python", "facerec-encoder-gpu:checked", "-c", CUDA)
    assert missing.splitlines()[-1].startswith("libcuda.so.1: cannot open shared object file")


def test_an_image_is_no_larger_than_it_was(image: str, files: Mapping[str, File]) -> None:
    added = sum(file.size for path, file in files.items() if path.startswith("opt/") or path.endswith(".pyc"))
    print(f"{image}: {added / 1e6:.0f} MB beyond {BASE}")
    assert added < MAX_MEGABYTES[named(image)] * 1e6


def test_a_second_build_from_nothing_holds_the_same_files(image: str, files: Mapping[str, File]) -> None:
    again = f"{image}-again"
    docker.build(named(image), again, "--no-cache")
    try:
        rebuilt = docker.files(again)
    finally:
        docker.docker("image", "rm", again)
    assert {path for path in files.keys() | rebuilt.keys() if files.get(path) != rebuilt.get(path)} == set()
