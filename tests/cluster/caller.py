"""What the caller's pod runs, with the installed client: the main job, and then calls until a file appears.

`python caller.py ADDRESS GATEWAY FOLDER STOP`: ADDRESS is the matcher's, GATEWAY the gateway's URL; FOLDER
has obama.jpg, obama2.jpg and biden.jpg; STOP is the file. Each part's outcome is a line of JSON.
"""

import base64
import http.client
import json
import ssl
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from facerec.client import MatcherClient, Security
from facerec.errors import FacerecError

PERSON = "obama"
PAUSE_SECONDS = 0.05


class HttpFailed(Exception):
    """A call by HTTP failed; the text is the reason."""


class Gateway:
    """Calls by HTTP, each over a connection of its own, with the CA and the key of the client."""

    def __init__(self, url: str, security: Security) -> None:
        parts = urlsplit(url)
        self._address = parts.netloc
        self._context = None
        if parts.scheme == "https":
            self._context = ssl.create_default_context(cafile=security.ca_file)
        self._headers = {"content-type": "application/json"}
        if security.api_key:
            self._headers["authorization"] = f"Bearer {security.api_key}"

    def is_match(self, person_id: str, photo: bytes) -> bool:
        """Whether the gateway answers that a photo is of a person. Raises HttpFailed."""
        connection = (
            http.client.HTTPSConnection(self._address, context=self._context, timeout=60)
            if self._context
            else http.client.HTTPConnection(self._address, timeout=60)
        )
        body = {"person_id": person_id, "image": base64.b64encode(photo).decode()}
        try:
            connection.request("POST", "/v1/verify", json.dumps(body), self._headers)
            answer = connection.getresponse()
            found = json.loads(answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise HttpFailed(type(error).__name__) from None
        finally:
            connection.close()
        if answer.status != http.client.OK:
            reasons = [each.get("debug", {}).get("reason") for each in found.get("details", ())]
            raise HttpFailed(next(filter(None, reasons), found["code"]))
        return bool(found["match"])


def walk(matcher: MatcherClient, gateway: Gateway, folder: Path) -> dict[str, object]:
    """Enroll a person, verify them and somebody else, by HTTP too, and identify them."""
    same, other = (folder / "obama2.jpg").read_bytes(), (folder / "biden.jpg").read_bytes()
    enrolled = matcher.enroll(PERSON, (folder / "obama.jpg").read_bytes())
    (found,) = matcher.identify(same).faces
    return {
        "enrolled": len(enrolled.faces),
        "same": matcher.verify(PERSON, same).match,
        "other": matcher.verify(PERSON, other).match,
        "by_http": [gateway.is_match(PERSON, photo) for photo in (same, other)],
        "identified": [each.person_id for each in found.candidates],
    }


EXPECTED = {"enrolled": 1, "same": True, "other": False, "by_http": [True, False], "identified": [PERSON]}


class Load:
    """Calls repeatedly until `stop` exists: with a photo, which takes the encoder, without, and by HTTP."""

    def __init__(self, matcher: MatcherClient, gateway: Gateway, folder: Path, stop: Path) -> None:
        photo = (folder / "obama2.jpg").read_bytes()
        self._calls: list[Callable[[], bool]] = [
            lambda: matcher.verify(PERSON, photo).match,
            lambda: matcher.get_person(PERSON).person_id == PERSON,
            lambda: gateway.is_match(PERSON, photo),
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
            except HttpFailed as error:
                reason = str(error)
            if reason:
                seconds = round(time.monotonic() - self._began, 1)
                self.failed.append({"reason": reason, "after_seconds": seconds})
            time.sleep(PAUSE_SECONDS)


def main(address: str, url: str, folder: str, stop: str) -> int:
    """Print both outcomes; exit code 1 if the main job did not go as expected."""
    security = Security.from_environment()
    gateway = Gateway(url, security)
    with MatcherClient(address, security=security) as matcher:
        walked = walk(matcher, gateway, Path(folder))
        print(json.dumps({"walked": walked}), flush=True)
        if walked != EXPECTED:
            return 1
        print(json.dumps({"load": Load(matcher, gateway, Path(folder), Path(stop)).run()}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
