"""The charts lint, render to what is committed, and are valid for Kubernetes and for the programs that they start."""

from __future__ import annotations

import json
import os
import re
import typing
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from charts import CHARTS, GOLDEN, NAMESPACE, ROOT, Helm, cases, documents, of_kind, one, pod_templates, values_file
from pydantic import BaseModel

from archipel import policy, policy_schema
from coordinator import config as coordinator_config
from coordinator.merge.settings import RayMode
from node_agent import config as node_config

OLDEST = "1.30"
KUBERNETES_VERSIONS = (OLDEST, "1.33", kubernetes_validate.latest_version())
CUSTOM_GROUPS = ("cert-manager.io", "ray.io")
"""Custom resources: their schemas come with their operators, so the tests check their fields one by one."""

each_case = pytest.mark.parametrize(("chart", "case"), cases())


@each_case
def test_a_chart_passes_the_strict_lint(helm: Helm, chart: str, case: str) -> None:
    done = helm.run("lint", "--strict", str(CHARTS[chart]), "--values", str(values_file(chart, case)))
    assert done.returncode == 0, done.stdout


@each_case
def test_a_chart_renders_to_the_golden_file(helm: Helm, chart: str, case: str) -> None:
    text = helm.template(chart, case)
    golden = GOLDEN / chart / f"{case}.yaml"
    if os.environ.get("ARCHIPEL_UPDATE_GOLDEN") == "1":
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text)
    assert golden.is_file(), f"{golden} is missing: run with ARCHIPEL_UPDATE_GOLDEN=1 and read the difference"
    assert documents(text) == documents(golden.read_text())


def test_no_golden_file_is_without_its_values_file() -> None:
    golden = {(file.parent.name, file.stem) for file in GOLDEN.glob("*/*.yaml")}
    assert golden == set(cases())


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
@each_case
def test_what_is_rendered_is_valid_for_kubernetes(helm: Helm, chart: str, case: str, version: str) -> None:
    found = documents(helm.template(chart, case))
    assert found
    for document in found:
        if document["apiVersion"].split("/")[0] not in CUSTOM_GROUPS:
            kubernetes_validate.validate(document, version, strict=True)
    for name, template in pod_templates(found):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": template["spec"]}
        kubernetes_validate.validate(pod, version, strict=True)
        assert set(template) == {"metadata", "spec"}, name


def test_the_validation_would_notice_a_wrong_field() -> None:
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"prots": []}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES_VERSIONS[-1], strict=True)


@pytest.mark.parametrize("chart", CHARTS)
def test_the_oldest_kubernetes_that_is_validated_is_the_oldest_that_a_chart_takes(chart: str) -> None:
    described = yaml.safe_load((CHARTS[chart] / "Chart.yaml").read_text())
    assert described["kubeVersion"] == f">={OLDEST}.0-0"


@each_case
def test_the_programs_read_the_configuration_that_is_rendered(
    helm: Helm, chart: str, case: str, tmp_path: Path
) -> None:
    found = documents(helm.template(chart, case))
    values = yaml.safe_load(values_file(chart, case).read_text())
    files = {key: text for m in of_kind(found, "ConfigMap") for key, text in m["data"].items() if key.endswith(".yaml")}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    if chart == "archipel-coordinator":
        assert set(files) == (set() if "configExistingSecret" in values else {"coordinator.yaml"})
        if files:
            coordinator = coordinator_config.load(tmp_path / "coordinator.yaml")
            assert coordinator.health_listen == "[::]:8086"
            given = values.get("ray", {}).get("mode", "local")
            assert str(coordinator.relay.directory) == "/var/spool/archipel/relay"
            assert coordinator.merge.ray.mode is (RayMode.EXISTING if given == "kuberay" else RayMode(given))
    elif "configExistingConfigMap" in values:
        assert not files
    else:
        node = node_config.load(tmp_path / "node.yaml")
        assert node.node == values["node"]["name"]
        assert [table.name for table in node.tables] == [table["name"] for table in values["tables"]]
        given = {name for name in ("sealing", "linkage") if values.get(name)}
        found_keys = {"sealing": node.sealing_key, "linkage": node.linkage_secret}
        assert {name for name, path in found_keys.items() if path is not None} == given
        rules, _ = policy.load(tmp_path / "policy.yaml")
        assert set(rules.tables) == set(values.get("policy", {}).get("tables", {}))


@each_case
def test_every_path_in_the_configuration_is_mounted(helm: Helm, chart: str, case: str) -> None:
    found = documents(helm.template(chart, case))
    (container,) = one(found, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    text = "".join(
        text for m in of_kind(found, "ConfigMap") for key, text in m["data"].items() if key.endswith(".yaml")
    )
    paths = re.findall(r"(?<![\w/])/[a-z][\w./-]*", re.sub(r"sqlite:///|postgresql\S*@", " ", text))
    paths += [word for word in container["command"] if word.startswith("/")]
    outside = [path for path in paths if path != "/archipel" and not any(path.startswith(m) for m in mounts)]
    assert paths
    assert [path for path in outside if not path.startswith("/archipel?")] == []


@each_case
def test_every_volume_is_mounted_and_every_mount_has_its_volume(helm: Helm, chart: str, case: str) -> None:
    found = documents(helm.template(chart, case))
    for name, template in pod_templates(found):
        spec = template["spec"]
        volumes = [volume["name"] for volume in spec["volumes"]]
        if name.startswith("StatefulSet"):
            claims = one(found, "StatefulSet")["spec"].get("volumeClaimTemplates", [])
            volumes += [claim["metadata"]["name"] for claim in claims]
        mounts = {
            mount["name"]
            for container in [*spec.get("initContainers", []), *spec["containers"]]
            for mount in container["volumeMounts"]
        }
        assert len(volumes) == len(set(volumes)), name
        assert set(volumes) == mounts, name


def test_a_changed_policy_restarts_the_node_and_a_changed_label_does_not(helm: Helm) -> None:
    values = values_file("archipel-node", "minimal")

    def checksum(*settings: str) -> str:
        found = documents(helm.render("archipel-node", values, *settings))
        annotations = one(found, "StatefulSet")["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["checksum/config"])

    assert checksum() == checksum('nodeSelector={"zone":"a"}')
    assert checksum() != checksum("policy.tables.stays.min_persons=12")
    assert checksum() != checksum("limits.threads=3")


def test_large_numbers_reach_the_configuration_as_integers(helm: Helm) -> None:
    found = documents(
        helm.render(
            "archipel-coordinator",
            values_file("archipel-coordinator", "minimal"),
            "limits.max_result_bytes=123456789012",
            "merge.memoryLimitMiB=65536",
        )
    )
    config = yaml.safe_load(one(found, "ConfigMap")["data"]["coordinator.yaml"])
    assert config["limits"]["max_result_bytes"] == 123456789012
    assert config["merge"]["memory_limit_bytes"] == 65536 * 1024 * 1024


def test_an_image_is_named_by_digest_where_one_is_given(helm: Helm) -> None:
    def image(case: str) -> str:
        found = documents(helm.template("archipel-node", case))
        return str(one(found, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]["image"])

    version = yaml.safe_load((CHARTS["archipel-node"] / "Chart.yaml").read_text())["appVersion"]
    assert image("minimal") == f"registry.example/archipel/node:{version}"
    assert re.fullmatch(r"registry\.example/archipel/node@sha256:[0-9a-f]{64}", image("large"))


@pytest.mark.parametrize("chart", CHARTS)
def test_the_charts_version_is_the_programs_version(chart: str) -> None:
    described = yaml.safe_load((CHARTS[chart] / "Chart.yaml").read_text())
    match = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert match is not None
    assert described["appVersion"] == match[1]


def test_the_ray_cluster_has_the_images_version_of_ray_its_token_and_its_tls(helm: Helm) -> None:
    found = documents(helm.template("archipel-coordinator", "kuberay"))
    cluster = one(found, "RayCluster")
    locked = re.search(r"^ray==(\S+)", (ROOT / "requirements" / "coordinator.lock").read_text(), re.MULTILINE)
    assert locked is not None
    assert cluster["apiVersion"] == "ray.io/v1"
    assert cluster["spec"]["rayVersion"] == locked[1]
    assert cluster["spec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert all(isinstance(v, str) for v in cluster["spec"]["headGroupSpec"]["rayStartParams"].values())
    (workers,) = cluster["spec"]["workerGroupSpecs"]
    assert all(isinstance(v, str) for v in workers["rayStartParams"].values())
    assert workers["replicas"] == workers["minReplicas"] == workers["maxReplicas"] == 3
    own_image = one(found, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]["image"]
    for name, template in pod_templates([cluster]):
        (container,) = template["spec"]["containers"]
        environment = {variable["name"]: variable["value"] for variable in container["env"]}
        assert container["image"] == own_image, name
        assert environment["RAY_AUTH_MODE"] == "token", name
        assert environment["RAY_USE_TLS"] == "1", name
        mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
        for variable in ("RAY_AUTH_TOKEN_PATH", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT"):
            assert str(Path(environment[variable]).parent) in mounts, name
        # KubeRay's own probes call wget, which the image does not have.
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container), name


def test_the_coordinator_calls_the_head_by_a_name_that_the_heads_certificate_has(helm: Helm) -> None:
    found = documents(helm.template("archipel-coordinator", "kuberay"))
    config = yaml.safe_load(one(found, "ConfigMap", "coordinator")["data"]["coordinator.yaml"])
    cluster = one(found, "RayCluster")
    service = f"{cluster['metadata']['name']}-head-svc"
    host = f"{service}.{NAMESPACE}.svc.cluster.local"
    assert config["merge"]["ray"]["address"] == f"ray://{host}:10001"
    (issuing,) = cluster["spec"]["headGroupSpec"]["template"]["spec"]["initContainers"]
    (hosts,) = (variable["value"] for variable in issuing["env"] if variable["name"] == "HOSTS")
    assert host in hosts.split()


def test_kuberay_would_not_shorten_the_name_of_the_heads_service(helm: Helm) -> None:
    long = "a-release-with-a-name-that-is-as-long-as-helm-allows"
    values = values_file("archipel-coordinator", "kuberay")
    found = documents(helm.render("archipel-coordinator", values, f'fullnameOverride="{long}"'))
    assert len(one(found, "RayCluster")["metadata"]["name"] + "-head-svc") <= 50


def _properties(schema: dict[str, Any], *path: str) -> set[str]:
    for part in path:
        schema = schema["items"] if part == "[]" else schema["properties"][part]
        if "$ref" in schema:
            raise AssertionError(f"{part} is shared: compare its definition")
        if part == "tables" and "additionalProperties" in schema and path[0] == "policy":
            schema = schema["additionalProperties"]
    return set(schema["properties"])


def test_the_nodes_schema_knows_the_keys_that_the_program_knows() -> None:
    schema = json.loads((CHARTS["archipel-node"] / "values.schema.json").read_text())
    chart_decides = {"spill_dir", "max_spill"}
    assert _properties(schema, "limits") == set(node_config.LimitsSection.model_fields) - chart_decides
    assert _properties(schema, "audit") == set(node_config.AuditSection.model_fields)
    of_the_volume = {"existingClaim", "subPath", "file"}
    assert _properties(schema, "sources", "[]") - of_the_volume == set(node_config.SourceSection.model_fields) - {
        "path"
    }
    assert _properties(schema, "tables", "[]") == set(node_config.TableSection.model_fields)
    assert _properties(schema, "policy") == set(policy.Policy.model_fields)
    assert _properties(schema, "policy", "tables") == set(policy.TableRules.model_fields)
    assert schema["properties"]["policy"] == policy_schema.inlined()


def test_the_coordinators_schema_knows_the_keys_that_the_program_knows() -> None:
    schema = json.loads((CHARTS["archipel-coordinator"] / "values.schema.json").read_text())
    assert _properties(schema, "limits") == set(coordinator_config.LimitsSection.model_fields)
    assert _properties(schema, "planner") == set(coordinator_config.PlannerSection.model_fields)
    disabled = schema["properties"]["planner"]["properties"]["disable"]["items"]["enum"]
    assert disabled == list(typing.get_args(coordinator_config.Optimisation))


@pytest.mark.parametrize(
    ("chart", "name", "section"),
    [
        ("archipel-node", "limits", node_config.LimitsSection),
        ("archipel-node", "audit", node_config.AuditSection),
        ("archipel-coordinator", "limits", coordinator_config.LimitsSection),
        ("archipel-coordinator", "planner", coordinator_config.PlannerSection),
    ],
)
def test_the_defaults_of_what_is_copied_are_the_programs(chart: str, name: str, section: type[BaseModel]) -> None:
    values = yaml.safe_load((CHARTS[chart] / "values.yaml").read_text())[name]
    shown = section.model_validate({}).model_dump(mode="json")
    assert values == {key: shown[key] for key in values}
    assert set(values) >= set(section.model_fields) - {"spill_dir", "max_spill"}


def test_what_a_chart_says_of_audit_log_telemetry_and_planner_reaches_the_programs(helm: Helm, tmp_path: Path) -> None:
    def rendered(chart: str, case: str, name: str) -> Path:
        found = one(documents(helm.template(chart, case)), "ConfigMap")["data"]
        (tmp_path / name).write_text(found[name])
        return tmp_path / name

    node = node_config.load(rendered("archipel-node", "otlp", "node.yaml"))
    assert node.audit.model_dump() == {
        "checkpoint_records": 200,
        "checkpoint_s": 900,
        "checkpoint_in_receipts": True,
        "retention_days": 3650,
        "purge": True,
    }
    assert node.telemetry.audit_events
    coordinator = coordinator_config.load(rendered("archipel-coordinator", "load-balancer", "coordinator.yaml"))
    assert coordinator.planner.model_dump() == {"disable": ("semijoin", "bloom"), "stage_bytes": 1_000_000}


@pytest.mark.parametrize("case", [case for chart, case in cases() if chart == "archipel-node"])
def test_everything_that_a_node_has_to_remember_is_on_the_claim(helm: Helm, case: str) -> None:
    found = documents(helm.template("archipel-node", case))
    stateful = one(found, "StatefulSet")["spec"]
    pod = stateful["template"]["spec"]
    (mount,) = (m for m in pod["containers"][0]["volumeMounts"] if m["mountPath"] == "/var/lib/archipel")
    assert not mount.get("readOnly")
    claims = [claim["metadata"]["name"] for claim in stateful.get("volumeClaimTemplates", [])]
    claims += [volume["name"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
    assert mount["name"] in claims
    for config in of_kind(found, "ConfigMap"):
        if "node.yaml" in config["data"]:
            assert yaml.safe_load(config["data"]["node.yaml"])["state_dir"] == mount["mountPath"]


@each_case
def test_the_notes_name_what_was_installed(helm: Helm, chart: str, case: str) -> None:
    values = str(values_file(chart, case))
    done = helm.run(
        "install", "demo", str(CHARTS[chart]), "--namespace", NAMESPACE, "--values", values, "--dry-run=client"
    )
    assert done.returncode == 0, done.stderr
    notes = done.stdout.split("\nNOTES:\n")[1]
    pod = one(documents(helm.template(chart, case)), "StatefulSet")["metadata"]["name"]
    assert f"statefulset/{pod}" in notes
    assert "WARNING" not in notes


def test_the_notes_say_when_the_policy_names_peers_and_the_node_has_no_sealing_key(helm: Helm) -> None:
    def notes(case: str, *settings: str) -> str:
        values = str(values_file("archipel-node", case))
        more = [part for setting in settings for part in ("--set-json", setting)]
        done = helm.run("install", "demo", str(CHARTS["archipel-node"]), "--values", values, "--dry-run=client", *more)
        assert done.returncode == 0, done.stderr
        return done.stdout.split("\nNOTES:\n")[1]

    wanted = "NOTE: the policy lets stays go to other nodes, but without sealing.existingSecret nothing goes there."
    assert wanted in notes("minimal", 'policy.tables.stays.peers={"cnam":"rows"}')
    assert "NOTE" not in notes("minimal")
    assert "NOTE" not in notes("sealed-exchange")
    assert "archipel node approve" in notes("minimal")
    assert "archipel node approve" not in notes("minimal", 'policy.node.approval="auto"')


@pytest.mark.parametrize("chart", CHARTS)
def test_the_notes_warn_when_the_network_policy_is_off(helm: Helm, chart: str) -> None:
    values = str(values_file(chart, "minimal"))
    done = helm.run(
        "install",
        "demo",
        str(CHARTS[chart]),
        "--values",
        values,
        "--set",
        "networkPolicy.enabled=false",
        "--dry-run=client",
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING: networkPolicy.enabled is false" in done.stdout.split("\nNOTES:\n")[1]
