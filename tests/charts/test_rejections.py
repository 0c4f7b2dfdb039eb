"""Wrong values are refused before anything is installed, and the message names the value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts import CHARTS, Helm, values_file

NODE, COORDINATOR = CHARTS

WRONG: list[tuple[str, str, str, str]] = [
    # chart, case, wrong setting, what the message names
    (NODE, "minimal", 'coordinater={"address":"a:1"}', "coordinater"),
    (NODE, "minimal", "replicas=2", "replicas"),
    (NODE, "minimal", 'image.repository=""', "/image/repository"),
    (NODE, "minimal", 'image.tag="latest"', "/image/tag"),
    (NODE, "minimal", 'image.digest="sha256:abc"', "/image/digest"),
    (NODE, "minimal", 'node.name=""', "node.name is needed"),
    (NODE, "minimal", 'node.name="CHU Lille"', "/node/name"),
    (NODE, "minimal", 'coordinator.address="coordinator.example"', "/coordinator/address"),
    (NODE, "minimal", 'coordinator.address="https://coordinator.example:8443"', "/coordinator/address"),
    (NODE, "minimal", 'tls.existingSecret=""', "tls.existingSecret is needed"),
    (NODE, "minimal", "tls.certManager.enabled=true", "exclude each other"),
    (NODE, "minimal", 'tls.certificate="-----BEGIN"', "certificate"),
    (NODE, "minimal", 'signing.existingSecret=""', "/signing/existingSecret"),
    (NODE, "minimal", 'signing.pem="-----BEGIN"', "pem"),
    (NODE, "minimal", 'sealing.key="-----BEGIN"', "key"),
    (NODE, "minimal", 'linkage.existingSecret="a"', "sealing.existingSecret is needed with linkage.existingSecret"),
    (NODE, "minimal", 'linkage.secret="YQ=="', "secret"),
    (NODE, "minimal", 'federation.existingConfigMap=""', "/federation/existingConfigMap"),
    (NODE, "minimal", "sources=[]", "/sources"),
    (NODE, "minimal", "tables=[]", "tables is needed"),
    (NODE, "minimal", 'tables=[{"name":"stays","source":"omop","file":"a.parquet"}]', "'omop'; there are: pmsi"),
    (NODE, "minimal", 'tables=[{"name":"stays","source":"pmsi","file":"../a.parquet"}]', "/tables/0/file"),
    (NODE, "minimal", 'tables=[{"name":"stays","source":"pmsi","persons":"a"}]', "persons"),
    (NODE, "minimal", 'sources=[{"name":"pmsi","kind":"files","existingClaim":"a"}]', "format"),
    (NODE, "minimal", 'sources=[{"name":"pmsi","kind":"duckdb","existingClaim":"a"}]', "file"),
    (NODE, "minimal", 'sources=[{"name":"pmsi","kind":"files","format":"csv","hostPath":"/data"}]', "hostPath"),
    (
        NODE,
        "minimal",
        'sources=[{"name":"pmsi","kind":"files","format":"csv","existingClaim":"a","subPath":"../b"}]',
        "/sources/0/subPath",
    ),
    (NODE, "minimal", 'policy.tables.stays.coordinator="rows"', "/policy/tables/stays/coordinator"),
    (NODE, "minimal", 'policy.tables.stays.peers={"*":"rows"}', "/policy/tables/stays/peers"),
    (NODE, "minimal", 'policy.tables.stays.peers={"CNAM":"rows"}', "'CNAM'"),
    (NODE, "minimal", 'policy.tables.stays.peers={"cnam":"sketch"}', "/policy/tables/stays/peers/cnam"),
    (NODE, "minimal", "policy.tables.stays.min_persons=5", "/policy/tables/stays/min_persons"),
    (NODE, "minimal", "policy.tables.stays.minpersons=20", "minpersons"),
    (NODE, "minimal", 'policy.tables.stays.columns.region="grup"', "/policy/tables/stays/columns/region"),
    (NODE, "minimal", "policy.version=2", "/policy/version"),
    (NODE, "minimal", 'limits.memory_limit="2 gigabytes"', "/limits/memory_limit"),
    (NODE, "minimal", "audit.retention_days=90", "/audit/retention_days"),
    (NODE, "minimal", "audit.checkpoints=1", "checkpoints"),
    (NODE, "minimal", 'spill.medium="Disk"', "/spill/medium"),
    (NODE, "minimal", 'spill.medium="Memory"', "resources.limits.memory is too small for spill.medium"),
    (NODE, "large", 'spill.medium="Memory"', "spill.medium and spill.storageClassName exclude each other"),
    (NODE, "sealed-exchange", "spill.receivedGiB=1", "spill.receivedGiB is too small for limits.max_received_bytes"),
    (NODE, "sealed-exchange", 'resources.limits.memory="7Gi"', "the volume alone takes up to 7Gi of it"),
    (NODE, "minimal", "networkPolicy.coordinatorPeers=[]", "networkPolicy.coordinatorPeers is needed"),
    (NODE, "minimal", "networkPolicy.coordinatorPeers=[{}]", "/networkPolicy/coordinatorPeers/0"),
    (NODE, "minimal", 'telemetry.endpoint="collector:4317"', "networkPolicy.otlpPeers is needed"),
    (NODE, "minimal", 'telemetry.headersExistingSecret="a"', "telemetry.endpoint is needed"),
    (NODE, "minimal", "telemetry.auditEvents=true", "telemetry.endpoint is needed"),
    (NODE, "minimal", 'extraVolumes=[{"name":"a","hostPath":{"path":"/"}}]', "/extraVolumes/0/hostPath"),
    (NODE, "minimal", "podSecurityContext.runAsUser=0", "/podSecurityContext/runAsUser"),
    (NODE, "existing-config", 'tables=[{"name":"a","source":"pmsi","file":"a"}]', "tables has no effect"),
    (NODE, "existing-config", 'policy.tables={"a":{}}', "policyExistingConfigMap exclude each other"),
    (NODE, "cert-manager", "tls.certManager.issuerRef=null", "issuerRef"),
    (NODE, "cert-manager", 'tls.certManager.federation=""', "tls.certManager.federation is needed"),
    (NODE, "minimal", "tls.certManager=null", "certManager"),
    (NODE, "minimal", "health=null", "health"),
    (COORDINATOR, "minimal", "replicaCount=2", "replicaCount"),
    (COORDINATOR, "minimal", 'image.repository=""', "/image/repository"),
    (COORDINATOR, "minimal", 'tls.existingSecret=""', "tls.existingSecret is needed"),
    (COORDINATOR, "minimal", 'federation.existingConfigMap=""', "/federation/existingConfigMap"),
    (COORDINATOR, "minimal", "networkPolicy.clientPeers=[]", "networkPolicy.clientPeers is needed"),
    (COORDINATOR, "minimal", "service.nodePort=30000", "service.nodePort has no effect"),
    (COORDINATOR, "minimal", 'service.loadBalancerSourceRanges=["192.0.2.0/24"]', "service.loadBalancerSourceRanges"),
    (COORDINATOR, "minimal", 'database.existingSecret="a"', "database.url is needed"),
    (COORDINATOR, "minimal", 'ray.mode="cluster"', "/ray/mode"),
    (COORDINATOR, "minimal", 'ray.mode="existing"', "ray.tokenExistingSecret is needed"),
    (COORDINATOR, "minimal", 'ray.mode="kuberay"', "ray.tokenExistingSecret is needed"),
    (COORDINATOR, "minimal", 'limits.drain="60s"', "drain"),
    (COORDINATOR, "minimal", "relay.sizeGiB=0", "/relay/sizeGiB"),
    (COORDINATOR, "minimal", 'planner.disable=["joins"]', "/planner/disable/0"),
    (COORDINATOR, "minimal", 'relay.directory="/tmp"', "directory"),
    (COORDINATOR, "existing-ray", 'ray.existing.address="ray-head:6379"', "/ray/existing/address"),
    (COORDINATOR, "existing-ray", 'ray.existing.tlsExistingSecret=""', "ray.existing.tlsExistingSecret is needed"),
    (COORDINATOR, "existing-ray", "networkPolicy.rayPeers=[]", "networkPolicy.rayPeers is needed"),
    (COORDINATOR, "kuberay", "ray.kuberay.caCertManager=false", "ray.kuberay.caExistingSecret is needed"),
    (COORDINATOR, "kuberay", 'ray.kuberay.caExistingSecret="a"', "exclude each other"),
    (COORDINATOR, "external-database", 'database.existingSecret=""', "database.existingSecret is needed"),
    (COORDINATOR, "external-database", "networkPolicy.databasePeers=[]", "networkPolicy.databasePeers is needed"),
    (COORDINATOR, "external-database", 'database.url="sqlite:///a"', "/database/url"),
    (COORDINATOR, "external-database", 'database.url="postgresql+psycopg://a:b@c/d"', "/database/url"),
    (COORDINATOR, "external-database", 'database.url="postgresql+psycopg://a@c/d?password=b"', "/database/url"),
    (COORDINATOR, "cert-manager", "tls.certManager.dnsNames=[]", "tls.certManager.dnsNames is needed"),
]


@pytest.mark.parametrize(("chart", "case", "setting", "named"), WRONG)
def test_a_wrong_value_is_refused_by_name(helm: Helm, chart: str, case: str, setting: str, named: str) -> None:
    done = helm.attempt(chart, values_file(chart, case), setting)
    assert done.returncode != 0, done.stdout
    # The schema names a value as /a/b, the charts' own checks as a.b.
    assert named in done.stderr, done.stderr


@pytest.mark.parametrize("chart", CHARTS)
def test_without_any_value_the_message_names_the_first_things_that_are_missing(
    helm: Helm, chart: str, tmp_path: Path
) -> None:
    empty = tmp_path / "values.yaml"
    empty.write_text("{}\n")
    done = helm.attempt(chart, empty)
    assert done.returncode != 0
    assert "/image/repository" in done.stderr
    assert "/federation/existingConfigMap" in done.stderr


@pytest.mark.parametrize("chart", CHARTS)
def test_no_object_of_the_schema_takes_keys_that_it_does_not_know(chart: str) -> None:
    schema = json.loads((CHARTS[chart] / "values.schema.json").read_text())
    verbatim = {"global", "valueFrom", "affinity", "tolerations", "matchExpressions", "extraEgress"}
    verbatim |= {"extraVolumes", "extraVolumeMounts"}  # these are Kubernetes' own; Kubernetes checks them
    assert _open_objects(schema, "") - verbatim == set()


@pytest.mark.parametrize("chart", CHARTS)
def test_the_schema_knows_exactly_the_values_that_there_are(chart: str) -> None:
    schema = json.loads((CHARTS[chart] / "values.schema.json").read_text())
    values = yaml.safe_load((CHARTS[chart] / "values.yaml").read_text())
    assert _missing(schema, values, schema["$defs"]) == []
    assert set(schema["properties"]) - {"global"} == set(values)


def _open_objects(node: Any, name: str) -> set[str]:
    found: set[str] = set()
    if isinstance(node, dict):
        if node.get("type") == "object" and "additionalProperties" not in node:
            found.add(name)
        for key, value in node.items():
            found |= _open_objects(value, name if key in ("items", "properties", "$defs") else key)
    elif isinstance(node, list):
        for value in node:
            found |= _open_objects(value, name)
    return found


def _missing(schema: Any, values: Any, shared: dict[str, Any], path: str = "") -> list[str]:
    """Return the keys of the default values that the schema does not name."""
    if "$ref" in schema:
        schema = shared[schema["$ref"].rsplit("/", 1)[1]]
    if not isinstance(values, dict) or "properties" not in schema:
        return []
    found = [f"{path}{key}" for key in values if key not in schema["properties"]]
    for key, value in values.items():
        if key in schema["properties"]:
            found += _missing(schema["properties"][key], value, shared, f"{path}{key}.")
    return found
