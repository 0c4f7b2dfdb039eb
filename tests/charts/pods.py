"""Lays out in a folder what a kubelet would mount into a pod, so that its command can be run from there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Cluster:
    """The objects that exist before a chart is installed: by name, their files."""

    secrets: Mapping[str, Files] = field(default_factory=dict)
    config_maps: Mapping[str, Files] = field(default_factory=dict)
    claims: Mapping[str, Path] = field(default_factory=dict)


def lay_out(pod: Mapping[str, Any], cluster: Cluster, root: Path) -> list[str]:
    """Fill ``root`` as a kubelet would fill the container's mounts; return its command, with paths in ``root``.

    Raises KeyError when the pod names an object or a key that does not exist.
    """
    (container,) = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    inside = re.compile(rf"(?<![\w.])({'|'.join(re.escape(path) for path in mounts)})(?=[/\"'\s]|$)", re.MULTILINE)

    def moved(text: str) -> str:
        return inside.sub(lambda found: f"{root}{found[1]}", text)

    for path, mount in mounts.items():
        target = root / path.lstrip("/")
        volume = volumes.get(mount["name"], {})
        if "persistentVolumeClaim" in volume:
            claim = cluster.claims[volume["persistentVolumeClaim"]["claimName"]]
            shutil.copytree(claim / mount.get("subPath", ""), target)
            continue
        target.mkdir(parents=True)
        for name, content in _files(volume, cluster).items():
            (target / name).write_bytes(moved(content.decode()).encode() if name.endswith(".yaml") else content)
            if "secret" in volume:
                (target / name).chmod(volume["secret"]["defaultMode"])
    return [moved(word) for word in container["command"]]


def _files(volume: Mapping[str, Any], cluster: Cluster) -> Files:
    if "projected" in volume:
        return {k: v for source in volume["projected"]["sources"] for k, v in _files(source, cluster).items()}
    if "secret" in volume:
        source, kept = volume["secret"], cluster.secrets[volume["secret"]["secretName"]]
    elif "configMap" in volume:
        source, kept = volume["configMap"], cluster.config_maps[volume["configMap"]["name"]]
    else:
        return {}
    return {item["path"]: kept[item["key"]] for item in source["items"]}
