"""``archipel audit``: for operators and data-protection officers, on the node's own disk."""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from archipel import errors

if TYPE_CHECKING:
    from archipel.manifest import Manifest

app = typer.Typer(no_args_is_help=True, help="Verify, prove and read a node's audit log.")

AUDIT_FOLDER = "audit"

Log = Annotated[Path, typer.Argument(help="The node's state folder, or the audit folder in it.")]
ManifestFile = Annotated[Path, typer.Option("--manifest", help="The federation manifest.")]
AuthorityKey = Annotated[Path, typer.Option(help="The authority's public key (authority.pub).")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Write to a file.")]


def folder_of(path: Path) -> Path:
    """Return the folder of the log that ``path`` is, or holds.

    Raises:
        ArchipelError: CONFIG_INVALID when there is none.
    """
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
    path: Log,
    record: Annotated[
        str | None, typer.Option(help="Also look for the record of this hash, as a receipt names it.")
    ] = None,
    manifest_file: Annotated[
        Path | None, typer.Option("--manifest", help="Also check the signatures of checkpoints, against this manifest.")
    ] = None,
    authority_key: Annotated[Path | None, typer.Option(help="The authority's public key, for --manifest.")] = None,
) -> None:
    """Prove that no record was altered, removed, added or moved. Ends with code 1 when one was."""
    from node_agent import audit

    if (manifest_file is None) != (authority_key is None):
        raise typer.BadParameter("--manifest and --authority-key go together")
    folder = folder_of(path)
    found = audit.verify(folder)
    if found.problem:
        print(f"DOES NOT VERIFY after {found.records} records: {found.problem}")
        raise typer.Exit(1)
    if record is not None and all(known["hash"] != record for known in audit.records(folder)):
        print(f"DOES NOT VERIFY: there is no record with the hash {record}")
        raise typer.Exit(1)
    if manifest_file is not None and authority_key is not None:
        _check_signatures(folder, _federation(manifest_file, authority_key))
    print(f"verified: {found.records} records, head {found.head[:16]}")
    if found.purged:
        print(f"note: {found.purged} of them were purged, as the log records")
    if found.checkpoints:
        checked = "fit, their signatures too" if manifest_file is not None else "fit; signatures were not checked"
        print(f"note: {found.checkpoints} checkpoints {checked}")
    if found.warning:
        print(f"note: {found.warning}")


@app.command()
def show(path: Log, last: Annotated[int | None, typer.Option(min=1, help="Only the newest records.")] = None) -> None:
    """Print the records as lines of JSON."""
    from node_agent import audit

    for record in deque(audit.records(folder_of(path)), maxlen=last):
        print(json.dumps(record, ensure_ascii=False))


@app.command()
def checkpoints(
    path: Log,
    last: Annotated[int | None, typer.Option(min=1, help="Only the newest.")] = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="Print the signed tokens alone, one a line.")] = False,
) -> None:
    """Print the signed checkpoints: how many records the log had, and the Merkle root over them."""
    from archipel import proof
    from node_agent import audit_reading

    for token in deque(audit_reading.checkpoint_tokens(folder_of(path)), maxlen=last):
        if tokens:
            print(token)
            continue
        content = proof.read_checkpoint(token)
        print(f"{_time(content.time)}  {content.size:>10} records  {content.root}")


@app.command()
def prove(
    path: Log,
    record: Annotated[str | None, typer.Option(help="Hash of a record: prove that the log holds it.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="File with the checkpoint to prove it for; without it, the newest.")
    ] = None,
    first: Annotated[
        Path | None, typer.Option("--from", help="File with an earlier checkpoint: prove that the log only grew.")
    ] = None,
    second: Annotated[Path | None, typer.Option("--to", help="The later checkpoint; without it, the newest.")] = None,
    out: Out = None,
) -> None:
    """Write a proof about the log as a small JSON document: that it holds a record, or that it only grew."""
    from archipel import proof
    from node_agent import audit_proofs

    folder = folder_of(path)
    if (record is None) == (first is None):
        raise typer.BadParameter("give --record or --from")
    document: proof.Proof
    if record is not None:
        document = audit_proofs.inclusion(folder, record, _token(checkpoint, folder))
    else:
        document = audit_proofs.consistency(folder, _token(first, folder), _token(second, folder))
    _write(proof.write(document), out)


@app.command()
def register(
    path: Log,
    since: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day (UTC).")],
    until: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day (UTC).")],
    output_format: Annotated[Literal["csv", "json"], typer.Option("--format", help="Form of the output.")] = "csv",
    out: Out = None,
) -> None:
    """Write the project register: for each permit who asked, for what, how often, what was read, left, was refused."""
    from node_agent import audit
    from node_agent import register as registers

    folder = folder_of(path)
    found = audit.verify(folder)
    if found.problem:
        print(f"The log DOES NOT VERIFY: {found.problem}")
        raise typer.Exit(1)
    begin = since.replace(tzinfo=UTC).timestamp()
    end = until.replace(tzinfo=UTC).timestamp() + 86_400
    entries = registers.register(audit.records(folder), begin, end)
    if output_format == "csv":
        _write(registers.as_csv(entries), out)
    else:
        _write(registers.as_json(entries, since=f"{since:%Y-%m-%d}", until=f"{until:%Y-%m-%d}"), out)


@app.command()
def purge(
    config: Annotated[Path, typer.Option("--config", help="The node's configuration file. The agent must not run.")],
    before: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Purge what is older (UTC); without it, as configured."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove old records, and leave a signed, chained statement of what went. Nothing of the last year goes."""
    import time

    from node_agent import config as configuration
    from node_agent import retention
    from node_agent.assembly import assemble

    settings, now = configuration.load(config), time.time()
    until = (
        retention.limit(settings.audit.retention_days, now)
        if before is None
        else before.replace(tzinfo=UTC).timestamp()
    )
    retention.check(until, settings.audit.retention_days, now)
    if dry_run:
        going = retention.plan(folder_of(settings.state_dir), until)
        print(f"{len(going.hashes)} records in {len(going.paths)} files are older than {_time(until)}")
        return
    node = assemble(settings)
    try:
        statement = node.purge(until)
    finally:
        node.close()
    if statement is None:
        print(f"no file of the log has only records older than {_time(until)}; nothing was removed")
        return
    print(f"purged: {statement.purged} records older than {_time(until)}, {statement.records} in all so far")
    print(f"  from {statement.first[:16]}… to {statement.last[:16]}…; the log records it")


@app.command()
def replay(
    path: Log,
    record: Annotated[str, typer.Option(help="Hash of the record, as a receipt or 'archipel audit show' names it.")],
) -> None:
    """Play a decision again and print how it is reached, step by step. Ends with 1 when it comes out otherwise."""
    from node_agent import audit
    from node_agent.evidence import EVIDENCE_FOLDER
    from node_agent.replay import replay as play

    folder = folder_of(path)
    found = audit.verify(folder)
    if found.problem:
        print(f"The log DOES NOT VERIFY: {found.problem}")
        raise typer.Exit(1)
    wanted = next((known for known in audit.records(folder) if known["hash"] == record), None)
    if wanted is None:
        raise errors.error(errors.BAD_REQUEST, "There is no record with that hash in the log.")
    played = play(wanted, folder.parent / EVIDENCE_FOLDER)
    when = _time(wanted["time"]) if "time" in wanted else "an unknown time"
    print(f"Record {record}, number {wanted['sequence']} of {found.records} in a log that verifies, of {when}.")
    for number, step in enumerate(played.steps, start=1):
        print(f"{number:>2}. {step}")
    ends = {True: "The same decision.", False: "ANOTHER decision.", None: "Not played again to its end: see above."}
    print(ends[played.same])
    if played.same is False:
        raise typer.Exit(1)


@app.command("verify-proof")
def verify_proof(
    file: Annotated[Path, typer.Argument(help="The JSON document of 'archipel audit prove'.")],
    manifest_file: ManifestFile,
    authority_key: AuthorityKey,
) -> None:
    """Check a proof with nothing but the manifest: no log and no node are needed. Ends with code 3 if it is none."""
    from archipel import proof

    document = proof.read(_read(file, "proof"))
    shown = proof.verify(document, _federation(manifest_file, authority_key))
    if isinstance(document, proof.Inclusion):
        content = shown["checkpoint"]
        print(f"proved: record {document.record}")
        print(f"  is number {document.index + 1} of the {content.size} records that {content.node} had")
        print(f"  when it signed its checkpoint of {_time(content.time)}")
        return
    older, newer = shown["first"], shown["second"]
    print(f"proved: {newer.node}'s {newer.size} records of {_time(newer.time)}")
    print(f"  begin with its {older.size} records of {_time(older.time)}, unaltered and in the same order")


def _check_signatures(folder: Path, federation: Manifest) -> None:
    from archipel import proof
    from node_agent import audit_reading

    for token in audit_reading.checkpoint_tokens(folder):
        try:
            proof.checkpoint_of(token, federation)
        except errors.ArchipelError as problem:
            size = proof.read_checkpoint(token).size
            print(f"DOES NOT VERIFY: the checkpoint of {size} records: {problem.info.message}")
            print("note: a checkpoint from before a change of keys is checked against the manifest of that time")
            raise typer.Exit(1) from None
    statement = audit_reading.base_of(folder).statement
    if statement:
        from archipel import tokens
        from node_agent import retention

        claimed = retention.read(statement)
        entry = federation.node(claimed.node)
        if entry is None or claimed.federation != federation.federation:
            print("DOES NOT VERIFY: the statement of a purge is of no node of the manifest")
            raise typer.Exit(1)
        retention.verify(statement, tokens.decode_public_key(entry.signing_key))


def _federation(manifest_file: Path, authority_key: Path) -> Manifest:
    from archipel import identity, manifest

    return manifest.verify(_read(manifest_file, "manifest"), identity.load_public_key(authority_key))


def _token(file: Path | None, folder: Path) -> str:
    from node_agent import audit_proofs

    return audit_proofs.newest_checkpoint(folder) if file is None else _read(file, "checkpoint")


def _read(file: Path, what: str) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as cause:
        raise errors.error(errors.CONFIG_INVALID, f"The {what} file {file} cannot be read.") from cause


def _write(text: str, out: Path | None) -> None:
    if out is None:
        print(text, end="")
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as cause:
        raise errors.error(errors.CONFIG_INVALID, f"{out} cannot be written: {cause.strerror}.") from cause


def _time(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"
