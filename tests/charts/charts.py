"""Runs helm over the charts and reads what comes out; for the tests of this folder only."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHARTS = {name: ROOT / "helm" / name for name in ("archipel-node", "archipel-coordinator")}
GOLDEN = Path(__file__).parent / "golden"
RELEASE = "demo"
NAMESPACE = "archipel"
HELM_TIMEOUT_S = 60

Document = dict[str, Any]


def cases() -> list[tuple[str, str]]:
    """Return (chart, case) of every values file in the charts' ci folders."""
    return [
        (name, file.name.removesuffix("-values.yaml"))
        for name, folder in CHARTS.items()
        for file in sorted((folder / "ci").glob("*-values.yaml"))
    ]


def values_file(chart: str, case: str) -> Path:
    """Return the values file of a case."""
    return CHARTS[chart] / "ci" / f"{case}-values.yaml"


def helm_path() -> Path | None:
    """Return a helm: ARCHIPEL_HELM, or the one that scripts/fetch_helm.sh fetched."""
    given = os.environ.get("ARCHIPEL_HELM")
    path = Path(given) if given else ROOT / ".cache" / "helm" / "helm"
    return path if os.access(path, os.X_OK) else None


class Helm:
    """A helm that is there, kept away from the user's own settings."""

    def __init__(self, binary: Path, home: Path) -> None:
        self._binary = binary
        self._environment = {"PATH": "/usr/bin:/bin", "HOME": str(home)}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run helm and return what it printed, whatever its exit code."""
        return subprocess.run(
            [str(self._binary), *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=HELM_TIMEOUT_S,
            check=False,
        )

    @functools.cache  # noqa: B019  the instance lives as long as the test session
    def template(self, chart: str, case: str) -> str:
        """Return what a case renders to."""
        return self.render(chart, values_file(chart, case))

    def render(self, chart: str, values: Path, *settings: str) -> str:
        """Return what a values file renders to; fails the test when helm refuses it."""
        done = self.attempt(chart, values, *settings)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def attempt(self, chart: str, values: Path, *settings: str) -> subprocess.CompletedProcess[str]:
        """Run ``helm template`` with a values file and ``--set-json`` settings."""
        more = [part for setting in settings for part in ("--set-json", setting)]
        return self.run(
            "template", RELEASE, str(CHARTS[chart]), "--namespace", NAMESPACE, "--values", str(values), *more
        )


def documents(text: str) -> list[Document]:
    """Return the objects in rendered text, in an order of their own."""
    found = [document for document in yaml.safe_load_all(text) if document]
    return sorted(found, key=lambda d: (d["kind"], d["metadata"]["name"]))


def one(found: Sequence[Document], kind: str, suffix: str = "") -> Document:
    """Return the only object of a kind (whose name ends so)."""
    (document,) = (d for d in found if d["kind"] == kind and d["metadata"]["name"].endswith(suffix))
    return document


def of_kind(found: Sequence[Document], kind: str) -> list[Document]:
    """Return the objects of a kind."""
    return [document for document in found if document["kind"] == kind]


def pod_templates(found: Sequence[Document]) -> Iterator[tuple[str, Document]]:
    """Return every pod template: of StatefulSets, and of a RayCluster's groups."""
    for document in found:
        name = f"{document['kind']} {document['metadata']['name']}"
        if document["kind"] == "RayCluster":
            yield f"{name} head", document["spec"]["headGroupSpec"]["template"]
            for group in document["spec"]["workerGroupSpecs"]:
                yield f"{name} {group['groupName']}", group["template"]
        elif "template" in document.get("spec", {}):
            yield name, document["spec"]["template"]


def containers(pod_spec: Mapping[str, Any]) -> list[Document]:
    """Return all containers of a pod, init containers too."""
    return [*pod_spec.get("initContainers", []), *pod_spec["containers"]]


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a selector by labels takes a pod with these labels."""
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
