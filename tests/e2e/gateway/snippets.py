"""The console's calls as code: a table of calls, and what turns them into each language."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.fixtures.process import ROOT

PARTS: Final = ROOT / "facerec" / "gateway" / "console" / "static" / "parts"
COLLECTION: Final = "snippets"
PERSON: Final = "a'b\"c\\d $(touch hacked) `touch hacked` </script>"
TEXT: Final = "-F @x;type=y\n'\"\\ %s ${HOME} \u2028 李"
HOSTILE_PHOTO: Final = "a'b$(touch hacked);,`\"\\.jpg"
DASH_PHOTO: Final = "-b %s.jpg"
FACE_ID: Final = "5f0c1d64-8f0b-4d8c-9d3a-2f6f0f6f7a10"
REQUEST_ID: Final = "0b6f3c1e-6c1f-4a55-9a0e-3f1d2c4b5a69"
Call = dict[str, Any]


def call(method: str, request: Call, *photos: tuple[str, str]) -> Call:
    """A call as the console shows it."""
    return {
        "method": method,
        "request": request,
        "photos": [{"field": field, "name": name} for field, name in photos],
    }


def _matcher(method: str, request: Call, *photos: tuple[str, str]) -> Call:
    return call(f"MatcherService/{method}", {"collectionId": COLLECTION, **request}, *photos)


def _collections(method: str, request: Call) -> Call:
    return call(f"CollectionService/{method}", {"collectionId": COLLECTION, **request})


ENROLL: Final = _matcher(
    "Enroll",
    {
        "personId": PERSON,
        "displayName": 'Ann "O\'Hara" \\ $(touch hacked) </script>',
        "requestId": REQUEST_ID,
        "labels": {"site": "a'b\"$(x)"},
        "metadata": {"note": TEXT, "list": [1, 2.5, None, True]},
        "items": [
            {"probe": {"useLargestFace": True}, "externalRef": HOSTILE_PHOTO},
            {"probe": {"useLargestFace": True}, "externalRef": "@b;type=x"},
        ],
    },
    ("image", HOSTILE_PHOTO),
    ("image", DASH_PHOTO),
)
VERIFY: Final = _matcher("Verify", {"personId": PERSON, "maxDistance": 0.55}, ("image", DASH_PHOTO))
VERIFY_SEVERAL: Final = _matcher(
    "Verify",
    {"personId": PERSON, "probe": {"useLargestFace": True}},
    ("image", HOSTILE_PHOTO),
    ("image", DASH_PHOTO),
)
IDENTIFY: Final = _matcher(
    "Identify",
    {"allFaces": True, "filter": {"labels": {"site": {"values": ["a'b\"$(x)", "oslo"]}}}},
    ("image", DASH_PHOTO),
)
COMPARE: Final = _matcher(
    "Compare", {"probeA": {"useLargestFace": True}}, ("image_a", HOSTILE_PHOTO), ("image_b", DASH_PHOTO)
)
CALLS: Final[Sequence[Call]] = (
    ENROLL,
    VERIFY,
    VERIFY_SEVERAL,
    IDENTIFY,
    COMPARE,
    _matcher("Compare", {"probeA": {"personId": PERSON}}, ("image_b", DASH_PHOTO)),
    _matcher("Identify", {"probes": [{"personId": PERSON}], "consistency": {"maxStaleness": "1.5s"}}),
    _matcher("ListPersons", {"personIdPrefix": "a'b", "pageSize": 1, "filter": {"suspended": False}}),
    _matcher("ListPersons", {"displayNamePrefix": "Ann \"O'"}),
    _matcher("GetPerson", {"personId": PERSON}),
    _matcher("ListFaces", {"personId": PERSON, "pageSize": 1}),
    _matcher(
        "UpdatePerson",
        {
            "personId": PERSON,
            "displayName": TEXT.replace("\n", ""),
            "labels": {"team": "x"},
            "updateMask": "displayName,labels.team,labels.site",
        },
    ),
    _matcher("UpdatePerson", {"personId": PERSON, "suspended": True}),
    _matcher("UpdatePerson", {"personId": PERSON, "updateMask": "labels,metadata,suspended"}),
    _matcher("RenamePerson", {"personId": "nobody", "newPersonId": PERSON}),
    _matcher("MergePersons", {"sourcePersonId": "nobody", "targetPersonId": PERSON}),
    _matcher("MoveFaces", {"faceIds": [FACE_ID], "targetPersonId": PERSON}),
    _matcher("DeleteFace", {"faceId": FACE_ID}),
    _matcher("GetErasure", {"erasureId": FACE_ID}),
    _collections("GetCollection", {}),
    call("CollectionService/ListCollections", {"pageSize": 1000}),
    _collections(
        "UpdateCollection",
        {
            "settings": {
                "displayName": TEXT.replace("\n", ""),
                "verifyThreshold": 0.55,
                "scoreRule": "SCORE_RULE_NEAREST",
                "duplicatePolicy": "DUPLICATE_POLICY_FLAG",
                "consistencyPolicy": "CONSISTENCY_POLICY_FLAG",
                "retention": "86400s",
                "quality": {
                    "minFacePixels": 40,
                    "refused": {"reasons": ["QUALITY_REASON_BLURRED", "QUALITY_REASON_TOO_DARK"]},
                },
                "search": {"exactOnly": True, "indexAboveFaces": "30000", "targetRecall": 0.99},
            }
        },
    ),
    _collections("Calibrate", {"targetFmr": 0.01, "scoreRule": "SCORE_RULE_NEAREST", "photos": 2}),
    _collections("Calibrate", {"groupLabel": "site", "requestId": REQUEST_ID}),
    _collections("ApplyCalibration", {"calibrationId": FACE_ID}),
    _collections("MeasureRecall", {"samples": 20}),
    _collections("ListDuplicates", {"maxDistance": 0.4, "includeDismissed": True, "pageSize": 10}),
    _collections("ListInconsistentFaces", {"personId": PERSON}),
    _collections("DismissDuplicate", {"personIdA": PERSON, "personIdB": "nobody", "restore": True}),
    _collections(
        "ListAuditEvents",
        {"kind": "AUDIT_KIND_CHANGES", "startTime": "2026-01-01T00:00:00Z", "personId": PERSON},
    ),
    call("CollectionService/GetCaller", {}),
    call("CollectionService/GetStatus", {}),
    call("EncoderService/GetModel", {}),
    call("EncoderService/GetStatus", {}),
    _matcher("DeletePerson", {"personId": PERSON}),
)
"""Every method that the console calls, in an order that is possible, with texts that need quotes."""


class Writer:
    """Runs the console's module in Node, from a copy in a folder."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(PARTS / "snippets", folder / "snippets")
        shutil.copy(PARTS / "snippets.js", folder)
        (folder / "package.json").write_text('{"type": "module"}')
        (folder / "write.js").write_text(
            'import { readFileSync } from "node:fs";\n'
            'import { snippet } from "./snippets.js";\n'
            "const asked = JSON.parse(readFileSync(0));\n"
            "const texts = asked.calls.map((call) => snippet(call, asked.language, asked.options));\n"
            "console.log(JSON.stringify(texts));\n"
        )
        self._folder = folder

    def write(
        self, calls: Sequence[Call], language: str, *, origin: str, keys_required: bool = False
    ) -> list[str]:
        """Calls in a language."""
        options = {"origin": origin, "keysRequired": keys_required}
        asked = json.dumps({"calls": calls, "language": language, "options": options})
        done = subprocess.run(
            ["node", "write.js"],
            cwd=self._folder,
            input=asked,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)  # type: ignore[no-any-return]
