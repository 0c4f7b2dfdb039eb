"""``archipel audit``: for operators and data-protection officers, on the node's own disk."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Annotated

import typer

from archipel import errors

app = typer.Typer(no_args_is_help=True, help="Verify and read a node's audit log.")

AUDIT_FOLDER = "audit"


def _folder(path: Path) -> Path:
    from node_agent import audit

    for candidate in (path, path / AUDIT_FOLDER):
        if any(candidate.glob(audit.FILE_PATTERN)) or (candidate / audit.HEAD_FILE).exists():
            return candidate
    raise errors.error(
        errors.CONFIG_INVALID,
        f"There is no audit log in {path}.",
        hint="Name the node's state_dir, or the folder in it.",
    )


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="The node's state folder, or the audit folder in it.")],
    record: Annotated[
        str | None, typer.Option(help="Also look for the record of this hash, as a receipt names it.")
    ] = None,
) -> None:
    """Prove that no record was altered, removed, added or moved. Ends with code 1 when one was."""
    from node_agent import audit

    folder = _folder(path)
    found = audit.verify(folder)
    if found.problem:
        print(f"DOES NOT VERIFY after {found.records} records: {found.problem}")
        raise typer.Exit(1)
    if record is not None and all(known["hash"] != record for known in audit.records(folder)):
        print(f"DOES NOT VERIFY: there is no record with the hash {record}")
        raise typer.Exit(1)
    print(f"verified: {found.records} records, head {found.head[:16]}")
    if found.warning:
        print(f"note: {found.warning}")


@app.command()
def show(
    path: Annotated[Path, typer.Argument(help="The node's state folder, or the audit folder in it.")],
    last: Annotated[int | None, typer.Option(min=1, help="Only the newest records.")] = None,
) -> None:
    """Print the records as lines of JSON."""
    from node_agent import audit

    for record in deque(audit.records(_folder(path)), maxlen=last):
        print(json.dumps(record, ensure_ascii=False))
