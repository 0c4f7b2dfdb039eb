"""Commands around signed documents: create a development federation; permits."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from archipel import errors

federation_app = typer.Typer(no_args_is_help=True, help="Create a federation.")
permit_app = typer.Typer(no_args_is_help=True, help="Issue, show and verify permits.")


@federation_app.command("init")
def init(
    out: Annotated[Path, typer.Argument(help="Folder to create; must be empty or absent.")],
    node: Annotated[list[str], typer.Option(help='A node as NAME or NAME="Holder"; repeat for each.')],
    name: Annotated[str, typer.Option(help="Name of the federation.")] = "dev",
    host: Annotated[list[str] | None, typer.Option(help="Names or addresses of the coordinator.")] = None,
    researcher: Annotated[str, typer.Option(help="First researcher.")] = "alice",
    project: Annotated[str, typer.Option(help="Project of the first permit.")] = "development",
    purpose: Annotated[str, typer.Option(help="Purpose of the first permit.")] = "Development on made-up data",
    table: Annotated[
        list[str] | None,
        typer.Option(help="Table of the first permit, as TABLE or TABLE:COL,COL; without it every table."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="Days of validity.")] = 365,
) -> None:
    """Create authority, signed manifest, certificates and a first permit for a development federation."""
    from archipel import federation, permit

    specs = []
    for text in node:
        node_name, _, holder = text.partition("=")
        specs.append(federation.NodeSpec(node_name, holder.strip('"') or node_name))
    federation.init(
        out,
        federation=name,
        nodes=specs,
        researcher=researcher,
        project=project,
        purpose=purpose,
        tables=_grants(table or []) or {permit.EVERY: [permit.EVERY]},
        coordinator_hosts=tuple(host or ("localhost", "127.0.0.1")),
        valid_days=days,
    )
    print(f"Federation '{name}' with {len(specs)} nodes is in {out}.")
    print("All private keys lie together there: use it for development only.")


@federation_app.command("researcher")
def add_researcher(
    folder: Annotated[Path, typer.Argument(help="Folder that 'federation init' created.")],
    name: Annotated[str, typer.Argument(help="The researcher's name.")],
    days: Annotated[int, typer.Option(min=1, help="Days of validity.")] = 365,
) -> None:
    """Create the identity of one more researcher of a development federation; a permit must still name them."""
    from archipel import federation, tokens

    key = federation.add_researcher(folder, name, valid_days=days)
    print(f"The identity of {name} is in {folder / 'researchers' / name}.")
    print(f"For a permit: {{name: {name}, key: {tokens.encode_public_key(key.public_key())}}}")


@permit_app.command("key")
def public_key(file: Annotated[Path, typer.Argument(help="A researcher's identity file.")]) -> None:
    """Print a researcher's name and public key as a permit names them."""
    from archipel import identity, tokens

    who = identity.ResearcherIdentity.load(file)
    print(f"{{name: {who.name}, key: {tokens.encode_public_key(who.signing_key.public_key())}}}")


@permit_app.command("issue")
def issue(
    description: Annotated[Path, typer.Argument(help="YAML file with the permit's content.")],
    authority_key: Annotated[Path, typer.Option(help="The authority's private key (authority.pem).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write the permit to.")],
) -> None:
    """Sign a permit. Dates may be written as YYYY-MM-DD; they count from midnight UTC."""
    import yaml
    from pydantic import ValidationError

    from archipel import identity, permit

    try:
        content = yaml.safe_load(description.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as cause:
        raise errors.error(errors.CONFIG_INVALID, f"{description} cannot be read as YAML.") from cause
    if not isinstance(content, dict):
        raise errors.error(errors.CONFIG_INVALID, f"{description} must hold keys and values.")
    for key in ("not_before", "expires"):
        if key in content:
            content[key] = _unix(content[key])
    try:
        document = permit.Permit.model_validate(content)
    except ValidationError as cause:
        lines = [f"{description}: '{'.'.join(map(str, e['loc']))}': {e['msg']}" for e in cause.errors()]
        raise errors.error(errors.CONFIG_INVALID, "\n".join(lines)) from None
    if any(grant.table == permit.EVERY for grant in document.tables):
        raise errors.error(
            errors.CONFIG_INVALID,
            f"{description}: the table '*' is for the first permit of a development federation only.",
            hint="Name the tables one by one; the columns of one may be '*'.",
        )
    if document.expires <= document.not_before:
        raise errors.error(errors.CONFIG_INVALID, f"{description}: 'expires' is not after 'not_before'.")
    out.write_text(permit.issue(document, identity.load_signing_key(authority_key)) + "\n", encoding="utf-8")
    print(f"Permit {document.permit_id} for {', '.join(r.name for r in document.researchers)} is in {out}.")


@permit_app.command("show")
def show_permit(file: Annotated[Path, typer.Argument(help="Permit file.")]) -> None:
    """Print what a permit says. Nothing is verified."""
    from archipel import permit

    content = permit.read_unverified(_read(file))
    for key in ("not_before", "expires"):
        if isinstance(content.get(key), int):
            content[key] = datetime.fromtimestamp(content[key], UTC).isoformat()
    print(json.dumps(content, indent=2, ensure_ascii=False))


@permit_app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="Permit file.")],
    authority_key: Annotated[Path, typer.Option(help="The authority's public key (authority.pub).")],
) -> None:
    """Check signature and dates of a permit."""
    from archipel import identity, permit

    token = _read(file)
    federation = str(permit.read_unverified(token).get("federation", ""))
    checked = permit.verify(token, identity.load_public_key(authority_key), federation=federation, now=time.time())
    expires = datetime.fromtimestamp(checked.permit.expires, UTC)
    who = f"permit {checked.permit.permit_id}, project {checked.permit.project}"
    print(f"Valid: {who}, until {expires:%Y-%m-%d %H:%M} UTC.")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as cause:
        raise errors.error(errors.CONFIG_INVALID, f"The permit file {file} cannot be read.") from cause


def _unix(value: object) -> object:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, datetime):
        return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())
    if hasattr(value, "year"):
        return int(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp())  # type: ignore[attr-defined]
    return value


def _grants(texts: list[str]) -> dict[str, list[str]]:
    grants = {}
    for text in texts:
        name, _, columns = text.partition(":")
        grants[name] = [c.strip() for c in columns.split(",") if c.strip()] or ["*"]
    return grants
