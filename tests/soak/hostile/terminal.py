"""Names, ids and references that steer a terminal, stored by a caller and shown to an operator."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Sequence

import numpy as np

from facerec.client import CollectionClient, CollectionSettings, Encoding, MatcherClient, NewFace
from facerec.printable import printable
from tests.soak.hostile.report import CheckResult
from tests.soak.matcher.stack import Stack

SPACE = "dlib-resnet-v1/small/150x0.25"
NAMES = (
    "Ann\x1b]0;owned\x07",
    "Ann\x1b[2J\x1b[1A\x1b[2K",
    "Ann\x1b]52;c;cm0gLXJmIH4=\x07",
    "Ann\x9b2J",
    "Ann\nerased mallory and 3 faces",
    "Ann\u202egnp.exe",
    "Ann\u2067\u2069\u200b\u200d\ufeff",
    "Ann[bold red][link=https://attacker.example]click[/link]",
)
IDS = ("ann\u202eevil", "ann\u200b", "[link=https://attacker.example]ann")
TIMEOUT_SECONDS = 60


def attack(*, short: bool) -> list[CheckResult]:
    """Store the names, run each command that shows them on a terminal, and look at what it is sent."""
    names, ids = (NAMES[:3], IDS[:1]) if short else (NAMES, IDS)
    with Stack.open(replicas=1) as stack:
        (address,) = stack.addresses
        for person in ids:
            for number, name in enumerate(names):
                _store(address, f"{person}{number}", name)
        shown = [_on_terminal(command, address) for command in _commands(f"{ids[0]}0")]
        raw = [_steering(each) for each in shown]
        asjson = _run(["people", "--json"], address)
    seen = sum(printable(name) in text for name in names for text in shown)
    return [
        CheckResult(
            "terminal", f"{sum(map(len, raw))} steering characters in {len(shown)} commands", not any(raw)
        ),
        CheckResult("terminal", f"{len(names)} names shown {seen} times, escaped", seen >= len(names)),
        CheckResult("terminal", "JSON in ASCII", asjson.isascii()),
    ]


def _store(address: str, person_id: str, name: str) -> None:
    vector = np.random.default_rng(len(name)).normal(0, 0.06, 128).astype(np.float32)
    with MatcherClient(address) as matcher, CollectionClient(address) as collections:
        matcher.enroll(person_id, NewFace(Encoding(vector, SPACE), name), display_name=name)
        collections.update_collection(CollectionSettings(display_name=name))


def _commands(person_id: str) -> Iterator[Sequence[str]]:
    yield ("people",)
    yield "people", "show", person_id
    yield ("collections",)
    yield "collections", "show", "default"
    yield ("audit",)
    yield ("duplicates",)
    yield "people", "show", f"{person_id}\x1b[2J"  # an error, which quotes what was asked
    yield "people", "delete", f"nobody{person_id}", "--yes"


def _on_terminal(command: Sequence[str], address: str) -> str:
    """What a command writes to a terminal, both streams, without the colors that are its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "facerec", *command],
        stdin=theirs, stdout=theirs, stderr=theirs,
        env=os.environ | {"FACEREC_MATCHER": address, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "4000"},
    )  # fmt: skip
    os.close(theirs)
    written = b""
    while chunk := _read(ours):
        written += chunk
    os.close(ours)
    process.wait(TIMEOUT_SECONDS)
    return written.decode(errors="surrogateescape")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux's way to say that the other end is closed
        return b""


def _steering(text: str) -> set[str]:
    return {each for line in text.split("\r\n") for each in line if printable(each) != each}


def _run(command: Sequence[str], address: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "facerec", *command],
        env=os.environ | {"FACEREC_MATCHER": address},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=True,
    )
    return done.stdout
