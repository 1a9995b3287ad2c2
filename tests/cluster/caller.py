"""What the caller's pod runs, with the installed client: the main job, and then calls until a file appears.

`python caller.py ADDRESS FOLDER STOP`: FOLDER has obama.jpg, obama2.jpg and biden.jpg; STOP is the file. Each
part's outcome is a line of JSON.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from facerec.client import MatcherClient, Security
from facerec.errors import FacerecError

PERSON = "obama"
PAUSE_SECONDS = 0.05


def walk(matcher: MatcherClient, folder: Path) -> dict[str, object]:
    """Enroll a person, verify them and somebody else, and identify them."""
    same, other = (folder / "obama2.jpg").read_bytes(), (folder / "biden.jpg").read_bytes()
    enrolled = matcher.enroll(PERSON, (folder / "obama.jpg").read_bytes())
    (found,) = matcher.identify(same).faces
    return {
        "enrolled": len(enrolled.faces),
        "same": matcher.verify(PERSON, same).match,
        "other": matcher.verify(PERSON, other).match,
        "identified": [each.person_id for each in found.candidates],
    }


EXPECTED = {"enrolled": 1, "same": True, "other": False, "identified": [PERSON]}


class Load:
    """Calls repeatedly until `stop` exists: with a photo, which takes the encoder, and without."""

    def __init__(self, matcher: MatcherClient, folder: Path, stop: Path) -> None:
        photo = (folder / "obama2.jpg").read_bytes()
        self._calls: list[Callable[[], bool]] = [
            lambda: matcher.verify(PERSON, photo).match,
            lambda: matcher.get_person(PERSON).person_id == PERSON,
        ]
        self._stop = stop
        self._began = time.monotonic()
        self.calls = 0
        self.failed: list[dict[str, object]] = []

    def run(self) -> dict[str, object]:
        """Call on a thread for each kind; returns how many calls there were, and those that failed."""
        threads = [threading.Thread(target=self._repeat, args=(call,)) for call in self._calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"calls": self.calls, "failed": self.failed}

    def _repeat(self, call: Callable[[], bool]) -> None:
        while not self._stop.exists():
            self.calls += 1
            try:
                reason = "" if call() else "wrong answer"
            except FacerecError as error:
                reason = str(error.reason)
            if reason:
                seconds = round(time.monotonic() - self._began, 1)
                self.failed.append({"reason": reason, "after_seconds": seconds})
            time.sleep(PAUSE_SECONDS)


def main(address: str, folder: str, stop: str) -> int:
    """Print both outcomes; exit code 1 if the main job did not go as expected."""
    with MatcherClient(address, security=Security.from_environment()) as matcher:
        walked = walk(matcher, Path(folder))
        print(json.dumps({"walked": walked}), flush=True)
        if walked != EXPECTED:
            return 1
        print(json.dumps({"load": Load(matcher, Path(folder), Path(stop)).run()}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
