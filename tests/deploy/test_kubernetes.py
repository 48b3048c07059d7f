"""deploy/kubernetes is what Kubernetes takes: by its own schemas, strictly, and in what these do not say of."""

import json
import re
import zipfile
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
import yaml

from app.main import create_app
from app.patience import PATIENCE_S
from app.settings import Settings
from app.settings.reading import variables_of
from tests.deploy.image import ROOT
from tests.support.binaries import kubernetes_schemas

# From the oldest to the newest one that there are schemas of.
VERSIONS = ("1.25.0", "1.33.0", "1.37.0")
DIRECTORY = ROOT / "deploy" / "kubernetes"
NAMESPACE = "ai-agents"
# How long a start may take beside its wait for the database, on a busy node.
_START_S = 30
Manifest = dict[str, Any]


def manifests(*kinds: str) -> list[Manifest]:
    """Those of these kinds, or all; kustomize's own file is none."""
    files = sorted(set(DIRECTORY.glob("*.yaml")) - {DIRECTORY / "kustomization.yaml"})
    found = [each for path in files for each in yaml.safe_load_all(path.read_text())]
    return [each for each in found if not kinds or each["kind"] in kinds]


def name_of(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


@cache
def definitions(version: str) -> dict[str, Any]:
    return read_schema(version, "_definitions")


def read_schema(version: str, name: str) -> dict[str, Any]:
    """A strict schema of this version: it refuses fields that it does not know. All of them refer to one another."""
    path = f"kubernetes_validate/kubernetes-json-schema/v{version}-local-strict/{name}.json"
    with zipfile.ZipFile(kubernetes_schemas()) as wheel:
        text = wheel.read(path).decode()
    schema: dict[str, Any] = json.loads(text.replace("/api/_definitions.json#", "#"))
    return schema


def with_definitions(schema: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """The schema with the definitions that it needs: to compile all of them takes seconds."""
    found: dict[str, Any] = {}
    waiting = [schema]
    while waiting:
        for name in re.findall(r'"#/\$defs/([^"]+)"', json.dumps(waiting.pop())):
            if name not in found:
                found[name] = known[name]
                waiting.append(known[name])
    return schema | {"$defs": found}


def faults_of(manifest: Manifest, version: str) -> list[str]:
    """What a server of this version would refuse."""
    group, _, of_group = manifest["apiVersion"].rpartition("/")
    parts = [manifest["kind"].lower(), *([group.partition(".")[0]] if group else []), of_group]
    schema = with_definitions(read_schema(version, "-".join(parts)), definitions(version)["$defs"])
    validator = jsonschema_rs.Draft202012Validator(schema)
    return [f"{'.'.join(map(str, error.instance_path))}: {error.message}" for error in validator.iter_errors(manifest)]


@pytest.mark.parametrize("version", VERSIONS)
def test_each_manifest_is_what_this_version_of_kubernetes_takes(version: str) -> None:
    assert len(manifests()) >= 10
    assert {name_of(each): faults for each in manifests() if (faults := faults_of(each, version))} == {}


def test_what_is_misspelled_would_be_found() -> None:
    deployment = manifests("Deployment")[0]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["readinessProbe"]["httpGet"]["pfad"] = "/readyz"
    container["ports"][0]["containerPort"] = "8000"

    assert [fault.partition(":")[0] for fault in sorted(faults_of(deployment, VERSIONS[-1]))] == [
        "spec.template.spec.containers.0.ports.0.containerPort",
        "spec.template.spec.containers.0.readinessProbe.httpGet",
    ]


def pods() -> Iterator[tuple[str, Manifest]]:
    """The pods, with whose they are."""
    for each in manifests("Deployment", "Job"):
        yield name_of(each), each["spec"]["template"]["spec"]


def test_probes_ask_for_routes_that_there_are_at_ports_that_there_are() -> None:
    (settings,) = manifests("ConfigMap")
    open_routes = {route.path for route in create_app(Settings(_env_file=None)).routes if hasattr(route, "path")}
    asked = 0
    for whose, pod in pods():
        for container in pod["containers"]:
            ports = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
            assert all(str(port) == settings["data"]["PORT"] for port in ports.values()), whose
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                if (http := container.get(kind, {}).get("httpGet")) is not None:
                    asked += 1
                    assert http["path"] in open_routes, (whose, kind)
                    assert http["port"] in ports, (whose, kind)
            if (starting := container.get("startupProbe")) is not None:
                assert starting["periodSeconds"] * starting["failureThreshold"] > PATIENCE_S + _START_S
    assert asked == 3
    (api,) = [pod for whose, pod in pods() if whose == "Deployment ai-agents-api"]
    named = {port["name"] for container in api["containers"] for port in container["ports"]}
    for service in manifests("Service"):
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named


def test_each_name_that_a_pod_refers_to_is_there() -> None:
    maps = {each["metadata"]["name"] for each in manifests("ConfigMap")}
    for whose, pod in pods():
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes, whose
            for source in container["envFrom"]:
                ((kind, reference),) = source.items()
                # The secret is the operator's to make; docs/operations.md says how.
                assert reference["name"] in ({"ai-agents"} if kind == "secretRef" else maps), whose
    described = (DIRECTORY / "settings.yaml").read_text()
    known = {variable for field in Settings.model_fields for variable in variables_of(field)}
    assert set(re.findall(r"\bAI_AGENTS_\w+", described)) <= known


def test_pods_get_no_variables_that_kubernetes_makes_of_services() -> None:
    """It would name them `AI_AGENTS_API_PORT`, …, and each start would warn of them: they look like settings."""
    services = {each["metadata"]["name"].upper().replace("-", "_") for each in manifests("Service")}
    assert any(name.startswith("AI_AGENTS_") for name in services)
    for whose, pod in pods():
        assert pod["enableServiceLinks"] is False, whose


def test_an_autoscaler_by_processor_time_has_what_it_is_a_share_of() -> None:
    requests = {whose: [container["resources"]["requests"] for container in pod["containers"]] for whose, pod in pods()}
    shares = 0
    for each in manifests("HorizontalPodAutoscaler"):
        for metric in each["spec"]["metrics"]:
            if metric["type"] == "Resource":
                shares += 1
                name = metric["resource"]["name"]
                assert all(
                    name in request for request in requests[f"Deployment {each['spec']['scaleTargetRef']['name']}"]
                )
        assert 1 <= each["spec"]["minReplicas"] <= each["spec"]["maxReplicas"]
    assert shares == 1
