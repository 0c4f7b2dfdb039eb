"""Remembers the newest manifest that a node has had, so that an older one, signed as well, is not taken any more.

An old manifest may name a node that was put out, or a key that was stolen and replaced.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from archipel import errors, tokens
from archipel.manifest import Manifest
from node_agent.audit import AuditLog, sync_folder

MEMORY_FILE = "manifest.json"


def check(state_dir: Path, token: str, found: Manifest, audit: AuditLog) -> None:
    """Take a manifest that is no older than the last one; a new one is recorded in the audit log, then remembered.

    Raises:
        ArchipelError: CONFIG_INVALID for an older one, or when it is not known which was the last; AUDIT_UNAVAILABLE.
    """
    path = state_dir / MEMORY_FILE
    digest = tokens.digest(token)
    serial, known = _remembered(path)
    if found.serial < serial:
        raise errors.error(
            errors.CONFIG_INVALID,
            f"The federation manifest has the serial {found.serial}, and this node has had {serial} before.",
            hint="Get the newest manifest from the authority.",
        )
    if digest == known:
        return
    audit.append("manifest", {"time": round(time.time(), 3), "serial": found.serial, "sha256": digest})
    temporary = path.with_name(f".{MEMORY_FILE}")
    try:
        with temporary.open("w", encoding="utf-8") as sink:
            json.dump({"serial": found.serial, "sha256": digest}, sink)
            sink.flush()
            os.fsync(sink.fileno())
        temporary.replace(path)
        sync_folder(state_dir)
    except OSError as cause:
        raise errors.error(errors.CONFIG_INVALID, f"{path} cannot be written: {cause.strerror}.") from cause


def _remembered(path: Path) -> tuple[int, str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return int(content["serial"]), str(content["sha256"])
    except FileNotFoundError:
        return 0, ""
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise errors.error(
            errors.CONFIG_INVALID,
            f"{path} cannot be read: it is not known which manifest this node has had last.",
            hint="Compare the manifest with the authority's, then remove the file.",
        ) from cause
