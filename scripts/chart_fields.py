"""Which fields of the chart's objects a value sets, and which values leave an object out."""

import copy
import re
from collections.abc import Callable
from typing import Any, Final

from scripts.chart_text import INDENT, Template

Object = dict[str, Any]

SECRETS: Final = {
    "facerec-database": "database",
    "facerec-db-ca": "databaseCa",
    "facerec-keys": "keys",
    "facerec-console": "console",
    "encoder-tls": "encoderTls",
    "gateway-tls": "gatewayTls",
    "matcher-tls": "matcherTls",
}
"""The value under `secrets` with the name of each Secret."""
SCALED: Final = ("encoder", "gateway", "matcher")
_NAMESPACE = re.compile(r'(?<=\.)facerec(?=\.svc|$)|^facerec(?=/)|(?<=namespace=")facerec(?=")')
_SECRET = re.compile(rf"(?:^|(?<=/))({'|'.join(SECRETS)})$")


def file(kind: str, name: str) -> str:
    """The template that an object is written to."""
    for each in SCALED:
        if name.startswith(each):
            return f"{each}.yaml"
    if kind in ("ServiceMonitor", "PrometheusRule"):
        return "monitoring.yaml"
    return "certificates.yaml" if kind in ("Certificate", "Issuer") else "shared.yaml"


def conditions(kind: str, name: str) -> list[str]:
    """What must hold for an object to be there."""
    found = []
    if "gateway" in name:
        found.append(".Values.gateway.enabled")
    if kind in ("HorizontalPodAutoscaler", "ScaledObject"):
        found.append(f".Values.{name}.autoscaling.enabled")
    if kind in ("ServiceMonitor", "PrometheusRule"):
        found.append(".Values.monitoring.enabled")
    if kind in ("Certificate", "Issuer"):
        found.append(".Values.certificates.enabled")
    if kind == "Issuer" or name == "facerec-ca":
        found.append("not .Values.certificates.issuer")
    if kind == "Ingress":
        found.append(".Values.gateway.ingress.enabled")
    if kind in ("HTTPRoute", "BackendTLSPolicy"):
        found.append(".Values.gateway.httpRoute.enabled")
    return found


def edited(found: Object, template: Template) -> Object:
    """A copy of an object with tokens in the places of what values set."""
    made: Object = template.escaped(copy.deepcopy(found))
    made = _replaced(made, template)
    if "namespace" in made["metadata"]:
        made["metadata"]["namespace"] = template.expression(".Release.Namespace")
    edit = _EDITS.get(found["kind"])
    if edit:
        edit(made, template)
    return made


def _replaced(value: Any, template: Template) -> Any:
    """The value with the release's namespace and the names of Secrets in its strings."""
    if isinstance(value, dict):
        return {key: _replaced(each, template) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, template) for each in value]
    if type(value) is not str:
        return value
    value = _NAMESPACE.sub(lambda _: template.expression(".Release.Namespace"), value)
    return _SECRET.sub(lambda found: template.expression(f".Values.secrets.{SECRETS[found[1]]}"), value)


def _where(condition: str, lines: str) -> str:
    """Code that prints lines where a condition holds."""
    return f"{{{{- {condition} }}}}\n{lines}\n{{{{- end }}}}"


def _yaml(value: str) -> str:
    """Code that prints a value under its field."""
    return f"{{{{- toYaml {value} | nindent {INDENT} }}}}"


def _deployment(made: Object, template: Template) -> None:
    name, spec = made["metadata"]["name"], made["spec"]
    number = f"replicas: {{{{ .Values.{name}.replicas }}}}"
    fixed = template.code(_where(f"if not .Values.{name}.autoscaling.enabled", number))
    made["spec"] = {fixed: None, **spec}
    checksum = f'include "facerec.settings.{name}" . | sha256sum'
    spec["template"]["metadata"]["annotations"] = {"checksum/settings": template.expression(checksum)}
    pod = spec["template"]["spec"]
    _pod(pod, name, template)
    if name == "matcher":
        _read_urls(pod, template)


def _job(made: Object, template: Template) -> None:
    # A Job cannot be changed, so each revision has its own.
    made["metadata"]["name"] += "-" + template.expression(".Release.Revision")
    _pod(made["spec"]["template"]["spec"], "migrate", template)


def _cron_job(made: Object, template: Template) -> None:
    _pod(made["spec"]["jobTemplate"]["spec"]["template"]["spec"], "maintain", template)


def _pod(pod: Object, name: str, template: Template) -> None:
    (container,) = pod["containers"]
    image = name if name in ("encoder", "gateway") else "matcher"
    chosen = '(ternary "encoderGpu" "encoder" .Values.encoder.gpu)' if image == "encoder" else f'"{image}"'
    container["image"] = template.expression(f'include "facerec.image" (list . {chosen})')
    if name in SCALED:
        resources = f".Values.{name}.resources"
        _overridden(container, "resources", resources, template)
    pulled = f"imagePullSecrets: {_yaml('.')}"
    pod[template.code(_where("with .Values.imagePullSecrets", pulled))] = None


def _overridden(parent: Object, key: str, value: str, template: Template) -> None:
    """Let a value take the place of a field's own, where it is set."""
    kept = template.text({key: parent.pop(key)}).rstrip()
    given = f"{key}: {_yaml('.')}\n{{{{- else }}}}\n{kept}"
    parent[template.code(_where(f"with {value}", given))] = None


def _read_urls(pod: Object, template: Template) -> None:
    """What deploy/kubernetes/components/cloudnative-pg/matcher.yaml adds."""
    condition = "if .Values.database.hasReadUrls"
    variable = "- name: MATCHER_READ_DATABASE_URLS_FILE\n  value: /run/secrets/facerec/read-urls"
    pod["containers"][0]["env"].insert(0, template.code(_where(condition, variable)))
    (volume,) = [each for each in pod["volumes"] if each["name"] == "database"]
    item = "- key: read-urls\n  path: read-urls"
    volume["secret"]["items"].append(template.code(_where(condition, item)))


def _config_map(made: Object, template: Template) -> None:
    name = made["metadata"]["name"].removesuffix("-settings")
    made["data"] = template.code(f'{{{{- include "facerec.settings.{name}" . | nindent 2 }}}}')


def _horizontal(made: Object, template: Template) -> None:
    for key in ("minReplicas", "maxReplicas"):
        made["spec"][key] = template.expression(f".Values.{made['metadata']['name']}.autoscaling.{key}")


def _scaled_object(made: Object, template: Template) -> None:
    for key, value in (("minReplicaCount", "minReplicas"), ("maxReplicaCount", "maxReplicas")):
        made["spec"][key] = template.expression(f".Values.encoder.autoscaling.{value}")
    made["spec"]["triggers"][0]["metadata"]["serverAddress"] = template.expression(
        ".Values.monitoring.prometheusAddress"
    )


def _certificate(made: Object, template: Template) -> None:
    if made["metadata"]["name"] != "facerec-ca":
        issuer = '(default (dict "name" "facerec" "kind" "Issuer") .Values.certificates.issuer)'
        made["spec"]["issuerRef"] = template.code(_yaml(issuer))


def _monitor(made: Object, template: Template) -> None:
    labels = _where("with .Values.monitoring.labels", f"labels: {_yaml('.')}")
    made["metadata"][template.code(labels)] = None


def _policy(made: Object, template: Template) -> None:
    if made["metadata"]["name"] == "scraping":
        (source,) = made["spec"]["ingress"][0]["from"]
        labels = source["namespaceSelector"]["matchLabels"]
        labels["kubernetes.io/metadata.name"] = template.expression(".Values.monitoring.namespace")
    if made["metadata"]["name"] == "to-database":
        peers = _where("with .Values.database.peers", f"to: {_yaml('.')}")
        made["spec"]["egress"][0][template.code(peers)] = None


def _ingress(made: Object, template: Template) -> None:
    value, spec = ".Values.gateway.ingress", made["spec"]
    host = template.expression(f"{value}.host")
    spec["ingressClassName"] = template.expression(f"{value}.className")
    spec["tls"] = [{"hosts": [host], "secretName": template.expression(f"{value}.tlsSecret")}]
    spec["rules"][0]["host"] = host
    _overridden(made["metadata"], "annotations", f"{value}.annotations", template)


def _route(made: Object, template: Template) -> None:
    for key in ("hostnames", "parentRefs"):
        made["spec"][key] = template.code(_yaml(f".Values.gateway.httpRoute.{key}"))


_EDITS: Final[dict[str, Callable[[Object, Template], None]]] = {
    "Deployment": _deployment,
    "Job": _job,
    "CronJob": _cron_job,
    "ConfigMap": _config_map,
    "HorizontalPodAutoscaler": _horizontal,
    "ScaledObject": _scaled_object,
    "Certificate": _certificate,
    "ServiceMonitor": _monitor,
    "PrometheusRule": _monitor,
    "NetworkPolicy": _policy,
    "Ingress": _ingress,
    "HTTPRoute": _route,
}
