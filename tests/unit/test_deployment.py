"""The files for deployment agree with the code."""

import re
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import yaml
from pydantic import AliasChoices

from app.cli import COMMANDS
from app.commands.command import build_parser
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
# Read by docker-compose.yml itself.
OF_COMPOSE = {"POSTGRES_PASSWORD", "REDIS_PASSWORD"}


def variables_of(name: str) -> set[str]:
    """The environment variables that set a field of the settings."""
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return {str(choice) for choice in alias.choices}
    return {str(alias)} if alias else {f"AI_AGENTS_{name.upper()}"}


def test_env_example_names_every_setting() -> None:
    text = (ROOT / ".env.example").read_text()
    shown = set(re.findall(r"^# ([A-Z][A-Z_]+)=", text, re.MULTILINE))
    variables = [variables_of(name) for name in Settings.model_fields]

    assert [missing for missing in variables if not missing & shown] == []
    assert shown - set().union(*variables) == OF_COMPOSE


def test_env_example_sets_nothing_until_it_is_edited() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()

    assert [line for line in lines if line and not line.startswith("#")] == []


def services_of_image() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in COMPOSE["services"].items() if service["image"] == "ai-agents"}


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command that the deployments run in our image, with where it stands."""
    for name, service in services_of_image().items():
        yield f"docker-compose.yml {name}", service["command"]
        check = service.get("healthcheck", {}).get("test", [])
        if check[:2] == ["CMD", "ai-agents"]:
            yield f"docker-compose.yml {name}", check[1:]
    for name, container in containers():
        if "command" in container:
            yield name, container["command"]
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            if command := container.get(probe, {}).get("exec", {}).get("command"):
                yield name, command


def manifests() -> list[dict[str, Any]]:
    files = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
    return [each for path in files for each in yaml.safe_load_all(path.read_text())]


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [each for each in manifests() if each["kind"] in kinds]


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    for each in of_kind("Deployment", "Job"):
        pod = each["spec"]["template"]["spec"]
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            yield f"{each['metadata']['name']}/{container['name']}", container


def test_each_command_of_a_deployment_is_one_that_there_is() -> None:
    parser = build_parser(COMMANDS, description="")

    asked = list(commands())

    assert len(asked) >= 9
    for _where, (program, *arguments) in asked:
        assert program == "ai-agents"
        assert callable(parser.parse_args(arguments).run)


def test_each_variable_of_a_deployment_is_a_setting_or_the_containers_own() -> None:
    known = set().union(*(variables_of(name) for name in Settings.model_fields)) | OF_COMPOSE
    set_there = {name for service in services_of_image().values() for name in service.get("environment", {})}
    set_there |= {name for each in of_kind("ConfigMap") for name in each["data"]}
    read_there = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))

    assert set_there | read_there <= known


def test_each_volume_network_and_file_of_compose_is_there() -> None:
    used_volumes, used_networks = set(), set()
    for service in COMPOSE["services"].values():
        used_networks |= set(service.get("networks", []))
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).is_file()
            else:
                used_volumes.add(source)

    assert used_volumes == set(COMPOSE["volumes"])
    assert used_networks == set(COMPOSE["networks"])


def test_compose_builds_the_image_once() -> None:
    assert [name for name, service in services_of_image().items() if "build" in service] == ["secrets"]


def test_each_service_of_compose_waits_for_what_it_needs() -> None:
    services = COMPOSE["services"]
    for service in services.values():
        for name, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                assert services[name]["healthcheck"]["test"]
            else:
                # One that ends by itself, and is not started again when it has ended.
                assert (condition["condition"], services[name]["restart"]) == ("service_completed_successfully", "no")
    for name in ("api", "worker"):
        assert {"migrate", "postgres", "redis"} <= set(services[name]["depends_on"])
    for name in ("postgres", "redis"):
        assert "secrets" in services[name]["depends_on"]


def test_containers_of_compose_may_do_as_little_as_they_need() -> None:
    for service in COMPOSE["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert {"pids_limit", "mem_limit"} <= set(service)


def test_each_process_of_the_service_has_the_same_files_and_secrets() -> None:
    for name in ("api", "worker", "migrate"):
        assert COMPOSE["services"][name]["volumes"] == ["var:/srv/var", "secrets:/run/secrets:ro"]
    for name in ("postgres", "redis"):
        assert "secrets:/run/secrets:ro" in COMPOSE["services"][name]["volumes"]
    assert Settings.model_fields["secrets_dir"].default == Path("/run/secrets")


def test_the_stop_of_a_container_takes_longer_than_the_grace_of_what_it_runs() -> None:
    grace = Settings.model_fields["shutdown_grace_s"].default
    assert int(COMPOSE["services"]["api"]["stop_grace_period"].removesuffix("s")) > grace + 5

    (settings,) = of_kind("ConfigMap")
    for deployment in of_kind("Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        pause = sum(
            int(container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])[1])
            for container in pod["containers"]
        )
        needed = float(settings["data"]["AI_AGENTS_SHUTDOWN_GRACE_S"]) + 5 + pause
        assert pod["terminationGracePeriodSeconds"] > needed


def test_the_manifests_name_only_each_other() -> None:
    (kustomization,) = of_kind("Kustomization")
    on_disk = {path.name for path in (ROOT / "deploy" / "kubernetes").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == on_disk
    deployments = {each["metadata"]["name"]: each for each in of_kind("Deployment")}
    for each in deployments.values():
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert labels == each["spec"]["selector"]["matchLabels"]
    labels_of_pods = [each["spec"]["template"]["metadata"]["labels"] for each in deployments.values()]
    for each in of_kind("Service"):
        assert each["spec"]["selector"] in labels_of_pods
    for each in of_kind("PodDisruptionBudget"):
        assert each["spec"]["selector"]["matchLabels"] in labels_of_pods
    for each in of_kind("HorizontalPodAutoscaler"):
        assert each["spec"]["scaleTargetRef"]["name"] in deployments
    (names,) = {tuple(each["metadata"]["name"] for each in of_kind("ConfigMap"))}
    for _where, container in containers():
        assert [each["configMapRef"]["name"] for each in container["envFrom"] if "configMapRef" in each] == list(names)


def test_pods_keep_to_the_restricted_standard() -> None:
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/, read 2026-11-30
    for each in of_kind("Deployment", "Job"):
        pod = each["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for _where, container in containers():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/srv/var", "/tmp"}


def test_the_builder_of_the_image_gets_each_file_that_it_copies() -> None:
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    copied = {name for line in lines for name in line.split()}
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert copied == sent
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_environment_of_the_image_is_below_250_megabytes() -> None:
    locked = [line.partition("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines()]
    # The image takes the symbols from compiled parts, which are a third of this.
    sizes = {name: size_of(name) for name in (*locked, "obstore")}

    assert sum(sizes.values()) < 250_000_000


def size_of(name: str) -> int:
    files = distribution(name).files or []
    return sum(path.stat().st_size for path in map(Path, (file.locate() for file in files)) if path.is_file())


def test_only_exact_versions_are_locked() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock"):
        lines = (ROOT / lock).read_text().splitlines()
        assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[A-Za-z0-9.+!]+", line)] == []


def test_both_locks_have_the_same_versions() -> None:
    run, dev = (set((ROOT / lock).read_text().splitlines()) for lock in ("requirements.lock", "requirements-dev.lock"))

    assert run <= dev
