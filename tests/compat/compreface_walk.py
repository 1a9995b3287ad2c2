"""Makes every call of CompreFace's Python SDK and prints the answers as one JSON object.

It runs in an environment of its own: `python compreface_walk.py HOST PORT FOLDER`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from compreface import CompreFace  # type: ignore[import-not-found, unused-ignore]

OPTIONS = {
    "limit": 0,
    "det_prob_threshold": 0.8,
    "prediction_count": 1,
    "face_plugins": "calculator,age,gender,landmarks,mask",
    "status": True,
}


def walk(host: str, port: str, folder: Path) -> dict[str, Any]:
    """The answers, by the calls."""
    system = CompreFace(f"http://{host}", port, OPTIONS)
    recognition = system.init_face_recognition("any key")
    subjects, examples = recognition.get_subjects(), recognition.get_face_collection()
    first, second, other = (str(folder / f"{name}.jpg") for name in ("obama", "obama2", "biden"))
    done: dict[str, Any] = {"subjects.delete_all": subjects.delete_all()}
    done["subjects.add"] = subjects.add("Barack Obama")
    done["subjects.add again"] = subjects.add("Barack Obama")
    done["face_collection.add"] = examples.add(first, "Barack Obama", {"det_prob_threshold": 0.8})
    done["face_collection.add bytes"] = examples.add(Path(other).read_bytes(), "Jöe Biden/46")
    done["face_collection.add no photo"] = examples.add(b"no photo", "Jöe Biden/46")
    done["face_collection.list"] = examples.list()
    done["subjects.list"] = subjects.list()
    done["recognition.recognize"] = recognition.recognize(second)
    done["recognition.recognize plain"] = recognition.recognize(second, {"limit": 1})
    image_id = done["face_collection.add"]["image_id"]
    done["face_collection.verify"] = examples.verify(second, image_id)
    done["detection.detect"] = system.init_face_detection("any key").detect(second)
    verification = system.init_face_verification("any key")
    done["verification.verify"] = verification.verify(first, second)
    done["verification.verify other"] = verification.verify(first, other, {"status": True})
    done["subjects.update"] = subjects.update("Jöe Biden/46", "Joe")
    done["face_collection.delete"] = examples.delete(image_id)
    done["face_collection.delete again"] = examples.delete(image_id)
    done["face_collection.delete_all"] = examples.delete_all("Joe")
    done["subjects.delete"] = subjects.delete("Barack Obama")
    done["subjects.delete again"] = subjects.delete("Barack Obama")
    done["subjects.list at the end"] = subjects.list()
    return done


if __name__ == "__main__":
    print(json.dumps(walk(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))
