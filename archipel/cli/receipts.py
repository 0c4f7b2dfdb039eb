"""``archipel receipt``: what the nodes state to have given for a question, checked without asking anybody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archipel import errors
from archipel.cli.exits import Exit

if TYPE_CHECKING:
    from archipel.receipt_check import Papers, Report

receipt_app = typer.Typer(no_args_is_help=True, help="Verify the nodes' receipts.")


@receipt_app.callback()
def group() -> None:
    """Verify the nodes' receipts."""


@receipt_app.command("verify")
def verify_receipts(
    file: Annotated[
        Path,
        typer.Argument(
            help="Receipts, one a line, as 'archipel query --receipts' and result.save_receipts write them; the "
            "request and the permit may stand there, too."
        ),
    ],
    manifest_file: Annotated[Path, typer.Option("--manifest", help="The federation manifest.")],
    authority_key: Annotated[Path, typer.Option(help="The authority's public key (authority.pub).")],
    permit: Annotated[list[Path] | None, typer.Option(help="Permit file: was it valid then?")] = None,
    request: Annotated[list[Path] | None, typer.Option(help="Signed request: is it the one that was answered?")] = None,
    statement: Annotated[list[Path] | None, typer.Option(help="SQL that is said to have run at the node.")] = None,
    record: Annotated[
        list[Path] | None, typer.Option(help="Records of a node's audit log, as 'archipel audit show' prints them.")
    ] = None,
    proof: Annotated[
        list[Path] | None, typer.Option(help="Proof of inclusion, as 'archipel audit prove' writes it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each receipt as a line of JSON.")] = False,
) -> None:
    """Check receipts offline, and say of each what it states and what was checked. Ends with 3 when one is wrong."""
    from archipel import identity, manifest, receipt_check

    authority = identity.load_public_key(authority_key)
    federation = manifest.verify(_read(manifest_file, "manifest"), authority)
    lines = _read(file, "receipts").splitlines()
    given = _papers(lines, permit, request, statement, record, proof)
    others = {line for line in lines if receipt_check.kind_of(line) in receipt_check.PAPERS}
    receipts = [line for line in lines if line.strip() and line not in others]
    if not receipts:
        raise errors.error(errors.BAD_REQUEST, f"There is no receipt in {file}.")
    reports = [receipt_check.check(token, federation, authority, given) for token in receipts]
    for number, report in enumerate(reports, start=1):
        if as_json:
            _print_json(file, number, report)
        else:
            _print(number, len(reports), report)
    wrong = sum(not report.good for report in reports)
    if wrong:
        if not as_json:
            print(f"{wrong} of {len(reports)} receipts do NOT hold.")
        raise typer.Exit(Exit.REQUEST)
    if not as_json:
        print(f"All {len(reports)} receipts hold." if len(reports) > 1 else "The receipt holds.")


def _papers(
    lines: list[str],
    permits: list[Path] | None,
    requests: list[Path] | None,
    statements: list[Path] | None,
    records: list[Path] | None,
    proofs: list[Path] | None,
) -> Papers:
    from archipel import proof, receipt_check

    signed = [*lines, *(_read(path, "permit") for path in permits or ())]
    signed += [_read(path, "request") for path in requests or ()]
    documents = [proof.read(_read(path, "proof")) for path in proofs or ()]
    if not all(isinstance(document, proof.Inclusion) for document in documents):
        raise errors.error(errors.BAD_REQUEST, "A receipt is checked with a proof of inclusion, not of consistency.")
    return receipt_check.papers(
        signed,
        [record for path in records or () for record in _records(path)],
        [document for document in documents if isinstance(document, proof.Inclusion)],
        [_read(path, "SQL") for path in statements or ()],
    )


def _records(path: Path) -> list[dict[str, Any]]:
    try:
        found = [json.loads(line) for line in _read(path, "audit record").splitlines() if line.strip()]
    except ValueError as cause:
        raise errors.error(errors.BAD_REQUEST, f"{path} holds no audit records.") from cause
    if not all(isinstance(record, dict) for record in found):
        raise errors.error(errors.BAD_REQUEST, f"{path} holds no audit records.")
    return found


def _print(number: int, count: int, report: Report) -> None:
    from archipel import receipt_check

    of = f"Receipt {number} of {count}"
    if report.content is None:
        print(f"{of}: does not hold")
    else:
        print(f"{of}: {receipt_check.words(report.content)}")
    for finding in report.findings:
        print(f"  {finding.found.value:12} {finding.text}")


def _print_json(file: Path, number: int, report: Report) -> None:
    if report.content is None:
        raise errors.error(errors.BAD_REQUEST, f"{file}, receipt {number}: {report.findings[0].text}")
    checks = [{"found": finding.found.value, "text": finding.text} for finding in report.findings]
    print(json.dumps({**report.content.model_dump(mode="json"), "checks": checks}, ensure_ascii=False))


def _read(file: Path, what: str) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as cause:
        raise errors.error(errors.CONFIG_INVALID, f"The {what} file {file} cannot be read.") from cause
