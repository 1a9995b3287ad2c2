"""Fixtures: the images, and the containers of deploy/compose.yaml."""

import os
from collections.abc import Iterator, Mapping

import pytest

from tests.images import docker
from tests.images.compose import Compose
from tests.images.docker import File

NAMES = ("encoder", "matcher", "gateway", *(("encoder-gpu",) if os.environ.get("GPU") else ()))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of an image is run for each."""
    if "image" in metafunc.fixturenames:
        metafunc.parametrize("image", NAMES, indirect=True, scope="session")


@pytest.fixture(scope="session", autouse=True)
def asked_for() -> None:
    """Skip all, unless `make check-images` runs them."""
    if "CHECK_IMAGES" not in os.environ:
        pytest.skip("takes many minutes and a Docker engine: make check-images")


@pytest.fixture(scope="session")
def image(request: pytest.FixtureRequest) -> str:
    """The tag of an image, built; layers that were built before are reused."""
    tag = f"facerec-{request.param}:checked"
    docker.build(request.param, tag)
    return tag


@pytest.fixture(scope="session")
def files(image: str) -> Mapping[str, File]:
    """The files of that image."""
    return docker.files(image)


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """What deploy/compose.yaml runs, up, over an empty volume, with ports and images of the check's own."""
    for name in ("encoder", "matcher", "gateway"):
        docker.build(name, f"facerec-{name}:checked")
    with Compose(tmp_path_factory.mktemp("compose")) as running:
        yield running
