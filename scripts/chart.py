"""Writes the templates of the Helm chart from the Kustomize overlays: `python -m scripts.chart [FOLDER]`.

The chart holds the objects of the overlay own-postgres, which stay the only place where they are written.
What a value changes is one of two things here: a difference between the overlay and the overlay with a
component (the encoder on a GPU), which becomes a condition in the template, or an expression that takes the
place of a field (scripts/chart_fields.py).
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from scripts import chart_fields
from scripts.chart_text import Template

ROOT = Path(__file__).parents[1]
KUBERNETES = ROOT / "deploy" / "kubernetes"
TEMPLATES = ROOT / "deploy" / "helm" / "facerec" / "templates"
SETTINGS = "_settings.tpl"
_HASHED = re.compile(r"\b(encoder|gateway|matcher)-settings-[a-z0-9]{10}\b")
_HEAD = "{{- /* Generated from deploy/kubernetes by `make chart`. */}}\n"

Object = dict[str, Any]
Objects = dict[tuple[str, str], Object]


def main(arguments: list[str]) -> int:
    """Write every template into a folder, by default the chart's."""
    folder = Path(arguments[0]) if arguments else TEMPLATES
    for name, text in templates().items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


def templates() -> Mapping[str, str]:
    """The text of every generated template, by the file's name."""
    plain, gpu = rendered(), rendered("gpu")
    made: dict[str, str] = {}
    for (kind, name), found in {**plain, **rendered("ingress"), **rendered("gateway-api")}.items():
        if kind == "Namespace":  # which is there before a release
            continue
        template = Template()
        if kind == "ConfigMap":
            made[SETTINGS] = made.get(SETTINGS, _HEAD) + _settings(name, found, gpu[kind, name])
        whole = template.merged(
            chart_fields.edited(found, template),
            chart_fields.edited(gpu.get((kind, name), found), template),
            ".Values.encoder.gpu",
        )
        text = template.text(whole)
        for condition in reversed(chart_fields.conditions(kind, name)):
            text = f"{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n"
        file = chart_fields.file(kind, name)
        made[file] = made.get(file, _HEAD) + f"---\n{text}"
    return made


def _settings(name: str, plain: Object, gpu: Object) -> str:
    """Code that prints the settings of a service: those of the overlay, and a value's over them."""
    template, service = Template(), name.removesuffix("-settings")
    defaults = template.text(template.merged(plain["data"], gpu["data"], ".Values.encoder.gpu"))
    return (
        f'{{{{- define "facerec.defaults.{service}" }}}}\n{defaults}{{{{- end }}}}\n'
        f'{{{{- define "facerec.settings.{service}" }}}}\n'
        f'{{{{- $defaults := include "facerec.defaults.{service}" . | fromYaml }}}}\n'
        f"{{{{- mergeOverwrite $defaults .Values.{service}.settings | toYaml }}}}\n{{{{- end }}}}\n"
    )


def rendered(*components: str) -> Objects:
    """The objects of own-postgres with these components, by kind and name, without hashes in names."""
    with tempfile.TemporaryDirectory() as folder:
        return render_in(Path(folder), *components)


def render_in(folder: Path, *components: str) -> Objects:
    """As `rendered`, from a kustomization that is written into a folder."""
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [_from(folder, KUBERNETES / "overlays" / "own-postgres")],
        "components": [_from(folder, KUBERNETES / "components" / each) for each in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    program = shutil.which(
        "kubectl", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    assert program, "kubectl is needed"
    text = subprocess.run([program, "kustomize", folder], check=True, capture_output=True, text=True).stdout
    objects = yaml.safe_load_all(_HASHED.sub(r"\1-settings", text))
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def _from(folder: Path, target: Path) -> str:
    return os.path.relpath(target.resolve(), folder.resolve())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
