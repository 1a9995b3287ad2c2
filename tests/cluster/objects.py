"""The objects that a check applies: an overlay's, the Secrets that production expects, and the caller."""

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.fixtures import kustomize
from tests.fixtures.process import ROOT

OVERLAYS = ROOT / "deploy" / "kubernetes" / "overlays"
CALLER = "facerec-check-caller"
PHOTOS = ("obama.jpg", "obama2.jpg", "biden.jpg")
STOP = "/tmp/stop"
_FOLDER = "/run/caller"
_MATCHER_ENTRY = '[[certificates]]\nname = "matcher"\nsubject = "matcher"\nroles = ["encode"]\n'
_VERIFIED = "sslmode=verify-full&sslrootcert=/run/secrets/database-ca/ca.crt"

Object = dict[str, Any]


def rendered(overlay: str, images: Mapping[str, str]) -> list[Object]:
    """An overlay's objects; `images` has the reference to use for each image's name."""
    objects = kustomize.render(OVERLAYS / overlay)
    for container in (each for pod in map(pod_spec, objects) if pod for each in pod["containers"]):
        container["image"] = images.get(container["image"].partition(":")[0], container["image"])
    return objects


def pod_spec(workload: Object) -> Object | None:
    """The pod of a workload; None for other objects."""
    spec = workload.get("spec", {})
    found: Object | None = spec.get("jobTemplate", {}).get("spec", spec).get("template", {}).get("spec")
    return found


def split(objects: Sequence[Object], served: set[str]) -> tuple[list[Object], list[Object]]:
    """The objects that a cluster with these API versions knows, and the others."""
    known = [each for each in objects if each["apiVersion"] in served]
    return known, [each for each in objects if each["apiVersion"] not in served]


def namespace(objects: Sequence[Object]) -> Object:
    """The overlay's namespace."""
    (found,) = [each for each in objects if each["kind"] == "Namespace"]
    return found


def production_secrets() -> list[Object]:
    """The five Secrets of deploy/README.md, and the caller's key, with passwords and a key made now."""
    migrate, serve, key = (secrets.token_hex(24) for _ in range(3))
    digest = hashlib.sha256(key.encode()).hexdigest()
    roles = '["enroll", "verify", "identify", "manage"]'
    keys = (
        f'{_MATCHER_ENTRY}\n[[keys]]\nname = "check"\nsha256 = "{digest}"\nroles = {roles}\nscores = true\n'
    )

    def url(login: str, password: str, service: str) -> str:
        return f"postgresql://{login}:{password}@facerec-db-{service}:5432/facerec?{_VERIFIED}"

    urls = {
        "migrate-url": url("facerec_migrate", migrate, "rw"),
        "serve-url": url("facerec_matcher", serve, "rw"),
        "read-urls": url("facerec_matcher", serve, "ro"),
    }
    basic = "kubernetes.io/basic-auth"
    return [
        _secret("facerec-migrate-login", {"username": "facerec_migrate", "password": migrate}, basic),
        _secret("facerec-matcher-login", {"username": "facerec_matcher", "password": serve}, basic),
        _secret("facerec-database", urls),
        _secret("facerec-keys", {"keys.toml": keys}),
        _secret("facerec-console", {"session-secret": secrets.token_hex(32)}),
        _secret(CALLER, {"key": key}),
    ]


def _secret(name: str, data: Mapping[str, str], kind: str = "Opaque") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": kind,
        "stringData": dict(data),
    }


def caller(image: str, photos: Path, *, locked: bool) -> list[Object]:
    """A pod that does the main job and then calls until STOP, and its program and photos.

    `image` is the matcher's. `locked` is whether it needs the CA and a key.
    """
    program = (Path(__file__).parent / "caller.py").read_text()
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CALLER},
        "data": {"caller.py": program},
        "binaryData": {name: base64.b64encode((photos / name).read_bytes()).decode() for name in PHOTOS},
    }
    volumes: list[Object] = [
        {"name": "caller", "configMap": {"name": CALLER}},
        {"name": "tmp", "emptyDir": {}},
    ]
    mounts: list[Object] = [{"name": "caller", "mountPath": _FOLDER}, {"name": "tmp", "mountPath": "/tmp"}]
    variables = {"PYTHONDONTWRITEBYTECODE": "1"}
    if locked:
        volumes += [
            {
                "name": "ca",
                "secret": {"secretName": "matcher-tls", "items": [{"key": "ca.crt", "path": "ca.crt"}]},
            },
            {"name": "key", "secret": {"secretName": CALLER}},
        ]
        mounts += [{"name": name, "mountPath": f"/run/{name}", "readOnly": True} for name in ("ca", "key")]
        variables |= {"FACEREC_TLS_CA_FILE": "/run/ca/ca.crt", "FACEREC_API_KEY_FILE": "/run/key/key"}
    gateway = f"{'https' if locked else 'http'}://gateway:8080"
    container = {
        "name": "caller",
        "image": image,
        "command": ["python", f"{_FOLDER}/caller.py", "matcher:50052", gateway, _FOLDER, STOP],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "volumeMounts": mounts,
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": CALLER, "labels": {"facerec-client": "true"}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "runAsGroup": 10001,
                "fsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": volumes,
        },
    }
    return [config, pod]
