"""The Python of README, docs/clients.md and the clients' docstrings, and commands, run as printed."""

import contextlib
import doctest
import inspect
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import trustme

from facerec.client import CollectionClient, EncoderClient, Encoding, MatcherClient
from tests.e2e.access.conftest import entry
from tests.e2e.matcher import docstrings
from tests.e2e.matcher.documented import Session, blocks, page
from tests.e2e.matcher.requests import SPACE, vectors
from tests.fixtures.matcher import MatcherProcess

FACES = 5000
PHOTOS = {"ann.jpg": "obama.jpg", "ann2.jpg": "obama3.jpg", "door.jpg": "obama2.jpg"}


@pytest.fixture(scope="module")
def documented_folder(sample_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that blocks and examples read, and those of the locked matcher."""
    folder = tmp_path_factory.mktemp("documented")
    for name, photo in PHOTOS.items():
        shutil.copy(sample_photos / photo, folder / name)
    (folder / ".cache").mkdir()
    (folder / ".cache" / "samples").symlink_to(sample_photos)
    people = [f"p{row:05}" for row in range(FACES)]
    np.savez(folder / "gallery.npz", encodings=vectors(FACES), person_ids=people)
    (folder / "key").write_text("secret\n")
    (folder / "keys.toml").write_text(entry("door", "secret", ["verify"]))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(folder / "server.key"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
    return folder


@pytest.fixture(scope="module")
def addresses(
    make_database: Callable[[str], str],
    template_database: str,
    encoder_address: str,
    documented_folder: Path,
) -> Iterator[dict[str, str]]:
    """By documented address that of an encoder, an open matcher, and a locked one of the same database."""
    common = (make_database(template_database), "--encoder-address", encoder_address)
    files = {"tls-cert-file": "server.pem", "tls-key-file": "server.key", "keys-file": "keys.toml"}
    locked = [f"--{setting}={documented_folder / name}" for setting, name in files.items()]
    with contextlib.ExitStack() as stack:
        servers = []
        for flags in ([], locked):
            servers.append(MatcherProcess(*common, *flags))
            stack.callback(servers[-1].stop)
        for server in servers:
            server.event("database_ready")
        yield {
            "127.0.0.1:50051": encoder_address,
            "127.0.0.1:50052": servers[0].address,
            "matcher.example:50052": servers[1].address,
        }


@pytest.fixture
def session(
    addresses: dict[str, str], documented_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Session]:
    """Where blocks run: over both matchers, of which the collection `default` is empty and the only one."""
    monkeypatch.chdir(documented_folder)
    with CollectionClient(addresses["127.0.0.1:50052"]) as collections:
        for collection in list(collections.list_collections()):
            collections.delete_collection(collection.collection_id, force=True)
    running = Session(addresses)
    yield running
    running.close()


def test_the_code_of_the_clients_page_runs_and_its_import_continues(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    documented = blocks(page("docs/clients.md"), "Python")
    for block in documented:
        session.run(block)
    names = session.names
    assert names["answer"].match
    assert names["enrolled"].faces[0].face.external_ref == "badge-photo-4711"
    assert json.loads(names["text"])["person"]["display_name"] == names["person"].display_name == "Ann"
    assert (names["report"].faces_added, names["report"].rows_refused) == (FACES, 0)
    assert "['ann']\n" in capsys.readouterr().out
    (importing,) = (block for block in documented if "import_faces" in block)
    matcher: MatcherClient = names["matcher"]
    with CollectionClient(matcher.address) as collections:
        collections.delete_collection("default", force=True)  # which creates it again
    session.run(importing.replace("len(people)", "4000"))  # as far as an import came that was interrupted
    session.run(importing)
    assert (names["done"], names["report"].faces_added) == (4000, 1000)
    assert matcher.verify("p04999", Encoding(vectors(FACES)[4999], SPACE)).match


def test_the_code_of_the_readme_runs(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks(page("README.md"), "From Python")
    session.run(block)
    assert capsys.readouterr().out.startswith("True 0.")


def test_buf_calls_an_open_service_and_a_locked_one_as_documented(session: Session) -> None:
    (block,) = blocks(page("docs/clients.md"), "A terminal", "sh")
    with MatcherClient(session.addresses["127.0.0.1:50052"]) as matcher:
        matcher.enroll("ann", Path("ann.jpg").read_bytes(), labels={"site": "berlin"})
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command, environment = ["sh", "-eu", "-c", session.here(block)], {**os.environ, "PATH": path}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"faceCount": 1') == 2  # of GetPerson and of ListPersons
    assert '"match": true' in done.stdout


@pytest.fixture(scope="module")
def known_faces(encoder_address: str, sample_photos: Path) -> dict[str, Encoding]:
    """A face of each person that the examples of docstrings take for enrolled."""
    photos = {"ann": PHOTOS["ann.jpg"], "bob": "biden.jpg"}
    with EncoderClient(encoder_address) as encoder:
        return {
            name: encoder.encode((sample_photos / photo).read_bytes()).faces[0].encoding
            for name, photo in photos.items()
        }


@pytest.mark.parametrize("example", docstrings.examples(), ids=lambda example: example.name)
def test_the_examples_of_a_docstring_give_the_stated_results(
    example: doctest.DocTest, session: Session, known_faces: dict[str, Encoding]
) -> None:
    matcher_address = session.addresses["127.0.0.1:50052"]
    with (
        EncoderClient(session.addresses["127.0.0.1:50051"]) as encoder,
        MatcherClient(matcher_address) as matcher,
        CollectionClient(matcher_address) as collections,
    ):
        for name, face in known_faces.items():
            matcher.enroll(name, face)
        photo = Path("door.jpg").read_bytes()
        names = {"encoder": encoder, "matcher": matcher, "collections": collections, "photo": photo}
        assert docstrings.run(example, names, session.here) == ""


def test_every_method_of_the_clients_has_an_example_or_appears_in_one() -> None:
    shown = {example.name.rpartition(".")[2] for example in docstrings.examples()}
    clients = (EncoderClient, MatcherClient, CollectionClient)
    operations = {name for client in clients for name, _ in inspect.getmembers(client, inspect.isfunction)}
    assert {name for name in operations - shown if name[0] != "_"} == {"close", "apply_calibration"}
