"""The Python and the commands of README and docs/clients.md, run as they stand against real services."""

import contextlib
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

from facerec.client import CollectionClient, Encoding, MatcherClient
from tests.e2e.access.conftest import entry
from tests.e2e.matcher.documented import Session, blocks, page
from tests.e2e.matcher.requests import SPACE, vectors
from tests.fixtures.matcher import MatcherProcess

FACES = 5000
PHOTOS = {"ann.jpg": "obama.jpg", "ann2.jpg": "obama3.jpg", "door.jpg": "obama2.jpg"}


@pytest.fixture
def folder(sample_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the blocks run in, with the files that they read."""
    monkeypatch.chdir(tmp_path)
    for name, photo in PHOTOS.items():
        shutil.copy(sample_photos / photo, tmp_path / name)
    people = [f"p{row:05}" for row in range(FACES)]
    np.savez(tmp_path / "gallery.npz", encodings=vectors(FACES), person_ids=people)
    (tmp_path / "key").write_text("secret\n")
    (tmp_path / "keys.toml").write_text(entry("door", "secret", ["verify"]))
    return tmp_path


def _locked(folder: Path, *flags: str) -> MatcherProcess:
    """A matcher with TLS that lets in whoever has the key."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(folder / "server.key"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
    tls = ("--tls-cert-file", str(folder / "server.pem"), "--tls-key-file", str(folder / "server.key"))
    return MatcherProcess(*flags, *tls, "--keys-file", str(folder / "keys.toml"))


@pytest.fixture
def session(
    make_database: Callable[[str], str], template_database: str, encoder_address: str, folder: Path
) -> Iterator[Session]:
    """Where the blocks run: over an open matcher and a locked one of one database."""
    common = (make_database(template_database), "--encoder-address", encoder_address)
    with contextlib.ExitStack() as stack:
        servers = []
        for start in (MatcherProcess, lambda *flags: _locked(folder, *flags)):
            servers.append(start(*common))
            stack.callback(servers[-1].stop)
        for server in servers:
            server.event("database_ready")
        addresses = {"127.0.0.1:50051": encoder_address, "127.0.0.1:50052": servers[0].address}
        running = Session({**addresses, "matcher.example:50052": servers[1].address})
        stack.callback(running.close)
        yield running


def test_the_blocks_of_the_page_for_clients_run_and_an_import_among_them_goes_on(
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
        collections.delete_collection("default")  # which makes it anew
    session.run(importing.replace("len(people)", "4000"))  # as far as an import came that was interrupted
    session.run(importing)
    assert (names["done"], names["report"].faces_added) == (4000, 1000)
    assert matcher.verify("p04999", Encoding(vectors(FACES)[4999], SPACE)).match


def test_the_block_of_the_readme_runs(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks(page("README.md"), "From Python")
    session.run(block)
    assert capsys.readouterr().out.startswith("True 0.")


def test_buf_calls_an_open_service_and_a_locked_one_as_documented(session: Session) -> None:
    (block,) = blocks(page("docs/clients.md"), "A terminal", "sh")
    with MatcherClient(session.addresses["127.0.0.1:50052"]) as matcher:
        matcher.enroll("ann", Path("ann.jpg").read_bytes())
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command, environment = ["sh", "-eu", "-c", session.here(block)], {**os.environ, "PATH": path}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '"faceCount": "1"' in done.stdout
    assert '"match": true' in done.stdout
