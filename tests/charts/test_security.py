"""What is rendered is restricted: pods, secrets, and who may talk to whom."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import yaml
from charts import CHARTS, Helm, cases, containers, documents, of_kind, one, pod_templates, selects, values_file

each_case = pytest.mark.parametrize(("chart", "case"), cases())

RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


@each_case
def test_every_pod_meets_the_restricted_pod_security_standard(helm: Helm, chart: str, case: str) -> None:
    for name, template in pod_templates(documents(helm.template(chart, case))):
        pod = template["spec"]
        assert not any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")), name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["securityContext"].get("runAsUser", 1) > 0, name
        assert "sysctls" not in pod["securityContext"], name
        for volume in pod["volumes"]:
            assert set(volume) - {"name"} <= RESTRICTED_VOLUMES, f"{name} {volume['name']}"
        for container in containers(pod):
            where, security = f"{name} {container['name']}", container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, where
            assert security["privileged"] is False, where
            assert security["runAsNonRoot"] is True, where
            assert security["capabilities"] == {"drop": ["ALL"]}, where
            assert security["seccompProfile"] == {"type": "RuntimeDefault"}, where
            assert "procMount" not in security, where
            assert not any("hostPort" in port for port in container.get("ports", [])), where


@each_case
def test_every_container_is_read_only_has_no_api_token_and_cannot_take_the_machines_memory(
    helm: Helm, chart: str, case: str
) -> None:
    found = documents(helm.template(chart, case))
    for name, template in pod_templates(found):
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, name
        for container in containers(pod):
            where = f"{name} {container['name']}"
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, where
            assert container["resources"]["limits"]["memory"], where
            assert not container["image"].endswith(":latest"), where
            for mount in container["volumeMounts"]:
                writable = ("state", "spill", "relay", "tmp", "shm", "ray-tls")
                assert mount.get("readOnly") is True or mount["name"] in writable, f"{where} {mount['name']}"
        for volume in pod["volumes"]:
            if "emptyDir" in volume:
                assert volume["emptyDir"]["sizeLimit"], f"{name} {volume['name']}"
    for account in of_kind(found, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    assert not {d["kind"] for d in found} & {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


@each_case
def test_nothing_secret_is_rendered(helm: Helm, chart: str, case: str) -> None:
    text = helm.template(chart, case)
    found = documents(text)
    assert of_kind(found, "Secret") == []
    assert "PRIVATE KEY" not in text.replace('"PRIVATE KEY"', "")
    for name, template in pod_templates(found):
        for container in containers(template["spec"]):
            for variable in container["env"]:
                secret = re.search("password|token$|secret|credential", variable["name"], re.IGNORECASE)
                assert not secret or "secretKeyRef" in variable["valueFrom"], f"{name} {variable['name']}"
    for config in of_kind(found, "ConfigMap"):
        for content in config["data"].values():
            assert not re.search(r"://[^/@\s]*:[^/@\s]*@", content), config["metadata"]["name"]


@each_case
def test_secret_files_are_not_readable_by_everyone(helm: Helm, chart: str, case: str) -> None:
    secrets = [
        volume["secret"]
        for _, template in pod_templates(documents(helm.template(chart, case)))
        for volume in template["spec"]["volumes"]
        if "secret" in volume
    ]
    assert secrets
    for secret in secrets:
        assert secret["defaultMode"] == 0o440, secret["secretName"]
        assert secret["items"], secret["secretName"]


@each_case
def test_every_pod_is_under_a_policy_that_denies_by_default(helm: Helm, chart: str, case: str) -> None:
    found = documents(helm.template(chart, case))
    policies = of_kind(found, "NetworkPolicy")
    for name, template in pod_templates(found):
        labels = template["metadata"]["labels"]
        if name.startswith("RayCluster"):
            labels = {**labels, "ray.io/cluster": name.split()[1]}  # set by KubeRay
        (policy,) = (p for p in policies if selects(p["spec"]["podSelector"], labels))
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"], name
        for rule in policy["spec"]["ingress"]:
            assert rule["from"], name
        for rule in policy["spec"]["egress"]:
            assert rule["to"], name
        for peer in _peers(policy):
            assert peer, name
            assert peer.get("ipBlock", {}).get("cidr") not in ("0.0.0.0/0", "::/0"), name


@each_case
def test_the_network_policy_lets_out_only_what_is_configured(helm: Helm, chart: str, case: str) -> None:
    found = documents(helm.template(chart, case))
    values = yaml.safe_load(values_file(chart, case).read_text())
    network, ray = values["networkPolicy"], values.get("ray", {})
    allowed = []
    if chart == "archipel-node":
        allowed.append((network["coordinatorPeers"], [("TCP", 8443)]))
    dns_port = network.get("dns", {}).get("ports", [53])[0]
    allowed.append((None, [("UDP", dns_port), ("TCP", dns_port)]))
    if "database" in values:
        allowed.append((network["databasePeers"], [("TCP", 5432)]))
    if ray.get("mode") == "existing":
        allowed.append((network["rayPeers"], [("TCP", 10001)]))
    if ray.get("mode") == "kuberay":
        allowed.append((None, [("TCP", 10001)]))
    if "telemetry" in values:
        allowed.append((network["otlpPeers"], [("TCP", 4317)]))
    allowed += [(rule["to"], _ports(rule)) for rule in network.get("extraEgress", [])]
    (policy,) = (p for p in of_kind(found, "NetworkPolicy") if not p["metadata"]["name"].endswith("-ray"))
    rules = policy["spec"]["egress"]
    assert [_ports(rule) for rule in rules] == [ports for _, ports in allowed]
    for rule, (peers, _) in zip(rules, allowed, strict=True):
        assert peers is None or rule["to"] == peers


@pytest.mark.parametrize("case", [case for chart, case in cases() if chart == "archipel-node"])
def test_a_node_can_be_called_by_nobody(helm: Helm, case: str) -> None:
    found = documents(helm.template("archipel-node", case))
    assert not {d["kind"] for d in found} & {"Service", "Ingress", "Gateway", "GRPCRoute", "TLSRoute", "HTTPRoute"}
    (policy,) = of_kind(found, "NetworkPolicy")
    given = yaml.safe_load(values_file("archipel-node", case).read_text())["networkPolicy"].get("probePeers")
    expected = [{"from": given, "ports": [{"protocol": "TCP", "port": 8086}]}] if given else []
    assert policy["spec"]["ingress"] == expected
    (container,) = one(found, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "health", "containerPort": 8086, "protocol": "TCP"}]


@pytest.mark.parametrize("case", [case for chart, case in cases() if chart == "archipel-coordinator"])
def test_the_coordinator_is_called_on_its_grpc_port_only_and_only_by_clients(helm: Helm, case: str) -> None:
    found = documents(helm.template("archipel-coordinator", case))
    network = yaml.safe_load(values_file("archipel-coordinator", case).read_text())["networkPolicy"]
    (policy,) = (p for p in of_kind(found, "NetworkPolicy") if not p["metadata"]["name"].endswith("-ray"))
    first, *more = policy["spec"]["ingress"]
    assert first == {"from": network["clientPeers"], "ports": [{"protocol": "TCP", "port": 8443}]}
    probes = network.get("probePeers")
    assert more == ([{"from": probes, "ports": [{"protocol": "TCP", "port": 8086}]}] if probes else [])
    service = one(found, "Service")
    pod = one(found, "StatefulSet")["spec"]["template"]
    assert selects({"matchLabels": service["spec"]["selector"]}, pod["metadata"]["labels"])
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["grpc"]


def test_ray_can_be_called_only_by_its_own_members_and_by_the_coordinators_client(helm: Helm) -> None:
    found = documents(helm.template("archipel-coordinator", "kuberay"))
    cluster = one(found, "RayCluster")["metadata"]["name"]
    policy = one(found, "NetworkPolicy", "-ray")
    own = {"podSelector": {"matchLabels": {"ray.io/cluster": cluster}}}
    members, coordinator = policy["spec"]["ingress"]
    assert members == {"from": [own]}
    assert coordinator["ports"] == [{"protocol": "TCP", "port": 10001}]
    labels = one(found, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    ((caller,),) = (coordinator["from"],)
    assert selects(caller["podSelector"], labels)
    for _, template in pod_templates([one(found, "RayCluster")]):
        assert not selects(caller["podSelector"], template["metadata"]["labels"])
        # The coordinator's Service, budget and policy must not take a Ray pod for a coordinator.
        assert not selects({"matchLabels": one(found, "Service")["spec"]["selector"]}, template["metadata"]["labels"])
    to_members, to_dns = policy["spec"]["egress"]
    assert to_members == {"to": [own]}
    assert _ports(to_dns) == [("UDP", 53), ("TCP", 53)]


def test_only_the_init_container_sees_the_ray_authoritys_key(helm: Helm) -> None:
    for name, template in pod_templates(documents(helm.template("archipel-coordinator", "kuberay"))):
        pod = template["spec"]
        (issuing,) = pod["initContainers"]
        assert "ray-authority" in {mount["name"] for mount in issuing["volumeMounts"]}, name
        for container in pod["containers"]:
            assert "ray-authority" not in {mount["name"] for mount in container["volumeMounts"]}, name


@each_case
def test_a_pod_gets_more_time_to_end_than_its_tasks(helm: Helm, chart: str, case: str) -> None:
    limits = {
        **yaml.safe_load((CHARTS[chart] / "values.yaml").read_text())["limits"],
        **yaml.safe_load(values_file(chart, case).read_text()).get("limits", {}),
    }
    pod = one(documents(helm.template(chart, case)), "StatefulSet")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= math.ceil(limits["drain_s"]) + 20


@each_case
def test_there_is_one_replica_and_its_state_survives_the_release(helm: Helm, chart: str, case: str) -> None:
    values = yaml.safe_load(values_file(chart, case).read_text())
    spec = one(documents(helm.template(chart, case)), "StatefulSet")["spec"]
    assert spec["replicas"] == 1
    own_claim = "database" not in values and not values.get("persistence", {}).get("existingClaim")
    assert ("volumeClaimTemplates" in spec) is own_claim
    if own_claim:
        assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
        (mount,) = (m for m in spec["template"]["spec"]["containers"][0]["volumeMounts"] if m["name"] == "state")
        assert mount == {"name": "state", "mountPath": "/var/lib/archipel"}


@each_case
def test_the_main_container_has_all_probes_on_the_health_port(helm: Helm, chart: str, case: str) -> None:
    (container,) = one(documents(helm.template(chart, case)), "StatefulSet")["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["grpc"] == {"port": 8086}, probe


@pytest.mark.parametrize("case", [case for chart, case in cases() if chart == "archipel-node"])
def test_a_nodes_data_is_mounted_read_only_twice_over(helm: Helm, case: str) -> None:
    pod = one(documents(helm.template("archipel-node", case)), "StatefulSet")["spec"]["template"]["spec"]
    sources = [volume for volume in pod["volumes"] if volume["name"].startswith("source-")]
    assert sources
    for volume in sources:
        assert volume["persistentVolumeClaim"]["readOnly"] is True
    mounts = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"].startswith("source-")]
    assert {mount["name"] for mount in mounts} == {volume["name"] for volume in sources}
    assert all(mount["readOnly"] for mount in mounts)


def _spill_volume(pod: dict[str, Any]) -> tuple[str, int]:
    """Return what the spill volume is made of, and its GiB."""
    (volume,) = (v for v in pod["volumes"] if v["name"] == "spill")
    if "ephemeral" in volume:
        spec = volume["ephemeral"]["volumeClaimTemplate"]["spec"]
        return str(spec["storageClassName"]), int(spec["resources"]["requests"]["storage"].removesuffix("Gi"))
    return volume["emptyDir"].get("medium", "disk"), int(volume["emptyDir"]["sizeLimit"].removesuffix("Gi"))


@pytest.mark.parametrize(
    ("case", "medium", "received"),
    [("minimal", "disk", 0), ("large", "fast-local-encrypted", 100), ("sealed-exchange", "Memory", 2)],
)
def test_the_spill_volume_is_larger_than_what_the_engine_and_other_nodes_may_put_there(
    helm: Helm, case: str, medium: str, received: int
) -> None:
    found = documents(helm.template("archipel-node", case))
    pod = one(found, "StatefulSet")["spec"]["template"]["spec"]
    limits = yaml.safe_load(one(found, "ConfigMap")["data"]["node.yaml"])["limits"]
    kind, size = _spill_volume(pod)
    assert kind == medium
    assert size > int(limits["max_spill"].removesuffix("GiB")) + received
    assert not received or limits["max_received_bytes"] <= received * 2**30
    most = {name: int(text.removesuffix("Gi")) for name, text in pod["containers"][0]["resources"]["limits"].items()}
    assert (most["ephemeral-storage"] > size) is (medium == "disk")
    assert medium != "Memory" or most["memory"] > size


@pytest.mark.parametrize("case", [case for chart, case in cases() if chart == "archipel-node"])
def test_a_node_has_keys_for_exchanges_with_other_nodes_only_where_they_are_given(helm: Helm, case: str) -> None:
    values = yaml.safe_load(values_file("archipel-node", case).read_text())
    found = documents(helm.template("archipel-node", case))
    pod = one(found, "StatefulSet")["spec"]["template"]["spec"]
    mounted = {volume["name"]: volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    for name, key in (("sealing", "sealing_key"), ("linkage", "linkage_secret")):
        given = values.get(name, {}).get("existingSecret")
        assert mounted.get(name) == given, name
        for config in of_kind(found, "ConfigMap"):
            node = yaml.safe_load(config["data"].get("node.yaml", "{}"))
            assert (key in node) is bool(given and node), name


@pytest.mark.parametrize("settings", [(), ("relay.sizeGiB=40", 'relay.storageClassName="fast"')])
def test_the_relays_volume_is_its_own_and_larger_than_what_may_wait(helm: Helm, settings: tuple[str, ...]) -> None:
    values = values_file("archipel-coordinator", "minimal")
    found = documents(helm.render("archipel-coordinator", values, *settings))
    pod = one(found, "StatefulSet")["spec"]["template"]["spec"]
    relay = yaml.safe_load(one(found, "ConfigMap")["data"]["coordinator.yaml"])["relay"]
    (mount,) = (m for m in pod["containers"][0]["volumeMounts"] if m["mountPath"] == relay["directory"])
    (volume,) = (v for v in pod["volumes"] if v["name"] == mount["name"])
    size = (
        volume["ephemeral"]["volumeClaimTemplate"]["spec"]["resources"]["requests"]["storage"]
        if settings
        else volume["emptyDir"]["sizeLimit"]
    )
    assert 0 < relay["memory_bytes"] < relay["max_bytes"] < int(size.removesuffix("Gi")) * 2**30
    assert relay["max_bytes"] == (40 if settings else 8) * 2**30


@pytest.mark.parametrize("chart", CHARTS)
def test_an_issued_certificate_keeps_its_key_and_can_play_one_part_only(helm: Helm, chart: str) -> None:
    spec = one(documents(helm.template(chart, "cert-manager")), "Certificate")["spec"]
    kind, name = ("node", "chu-lille") if chart == "archipel-node" else ("coordinator", "coordinator")
    assert spec["uris"] == [f"archipel://demo/{kind}/{name}"]
    assert spec["usages"] == ["digital signature", "client auth" if kind == "node" else "server auth"]
    assert spec["privateKey"]["rotationPolicy"] == "Never"
    assert (spec["privateKey"]["algorithm"], spec["privateKey"]["size"]) == ("ECDSA", 256)
    assert "isCA" not in spec
    pod = one(documents(helm.template(chart, "cert-manager")), "StatefulSet")["spec"]["template"]["spec"]
    (volume,) = (v for v in pod["volumes"] if v["name"] == "tls")
    assert volume["secret"]["secretName"] == spec["secretName"]


def _peers(policy: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        peer
        for direction, key in (("ingress", "from"), ("egress", "to"))
        for rule in policy["spec"][direction]
        for peer in rule[key]
    ]


def _ports(rule: dict[str, Any]) -> list[tuple[str, int]]:
    return [(port["protocol"], port["port"]) for port in rule["ports"]]
