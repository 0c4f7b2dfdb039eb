"""``archipel policy``: what a policy file means, and what a node would decide on a statement; nothing is run.

Both work from the node's own files, without coordinator and network.
"""

from __future__ import annotations

import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archipel import errors
from archipel.cli.exits import exit_code, show

if TYPE_CHECKING:
    from archipel.border.decision import Release
    from archipel.permit import Permit
    from archipel.policy import Policy
    from archipel.schema import Table
    from node_agent.config import NodeConfig
    from node_agent.engine.duckdb_engine import DuckDBEngine

app = typer.Typer(no_args_is_help=True, help="Explain a policy file; try what a node would decide.")

NodeConfigFile = Annotated[Path, typer.Option("--node-config", help="The node's configuration file.")]


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The policy file.")],
    node_config: Annotated[
        Path | None,
        typer.Option("--node-config", help="The node's configuration file: what is said is then about all columns."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with 4 when there is a warning.")] = False,
) -> None:
    """Say in plain words what a policy lets out, to whom, table by table, with warnings for risky choices.

    Ends with 3 when the file is wrong: every mistake is told with its line and key.
    """
    from archipel import policy, policy_explain

    rules, digest = policy.load(file)
    tables: dict[str, Table] | None = None
    others: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    name = ""
    if node_config is not None:
        with closing(_open(node_config, file, rules)) as opened:
            tables = {table.name.lower(): table for table in opened.engine.tables()}
            others = tuple(t.name for t in opened.config.tables if t.name.lower() not in tables)
            problems = (*opened.engine.problems(), *_about_peers(rules, opened.config.node))
            name = f" for the node {opened.config.node}"
    print(f"{file}{name}: {len(rules.tables)} tables named; sha256 {digest}")
    warned = 0
    for part in policy_explain.explain(rules, tables, others=others):
        print(f"\n{part.title}")
        for line in part.lines:
            print(f"  {line}")
        for warning in part.warnings:
            print(f"  WARNING: {warning}")
        warned += len(part.warnings)
    for problem in problems:
        print(f"\nPROBLEM: {problem}")
    print(f"\n{warned} warnings, {len(problems)} problems.")
    if strict and (warned or problems):
        raise typer.Exit(4)


@app.command()
def schema() -> None:
    """Print the JSON Schema of policy files, for an editor."""
    from archipel import policy_schema

    print(policy_schema.schema_text(), end="")


@app.command("try")
def try_statement(
    sql: Annotated[str, typer.Argument(help="A statement as it would come to the node; - reads it from the input.")],
    node_config: NodeConfigFile,
    permit_file: Annotated[Path, typer.Option("--permit", help="The permit under which it would be asked.")],
    file: Annotated[
        Path | None, typer.Option("--policy", help="The policy file; without it the one that the node has.")
    ] = None,
    destination: Annotated[str, typer.Option("--to", help="The node that the output would go to.")] = "",
    epsilon: Annotated[float | None, typer.Option(help="As if asked for with differential privacy.")] = None,
) -> None:
    """Show what the node would decide on a statement, and why. Nothing is run, and nothing is written down.

    Ends with 0 when it would be answered, with 3 or 4 when not.
    """
    from archipel import policy
    from archipel.schema import COORDINATOR
    from node_agent import config as configuration

    text = sys.stdin.read() if sql == "-" else sql
    path = file or configuration.load(node_config).policy
    rules, _ = policy.load(path)
    with closing(_open(node_config, path, rules)) as opened:
        granted, concerns = _permit(permit_file, opened)
        for problem in opened.engine.problems():
            print(f"problem: {problem}", file=sys.stderr)
        try:
            release = _decide(text, opened, granted, destination or COORDINATOR, epsilon)
        except errors.ArchipelError as problem:
            print(f"REFUSED{f' by the rule {problem.rule}' if problem.rule else ''}")
            show(problem, text)
            for concern in concerns:
                print(f"also: {concern}")
            raise typer.Exit(exit_code(problem)) from None
    _tell(release, rules, destination, concerns)
    if concerns:
        raise typer.Exit(4)


@dataclass(slots=True)
class _Opened:
    config: NodeConfig
    engine: DuckDBEngine

    def close(self) -> None:
        self.engine.close()


def _open(node_config: Path, file: Path, rules: Policy) -> _Opened:
    """Open a node's sources under a policy, as the agent does at its start."""
    from node_agent import config as configuration
    from node_agent.assembly import check_policy
    from node_agent.engine.duckdb_engine import DuckDBEngine

    config = configuration.load(node_config).model_copy(update={"policy": file})
    check_policy(config, rules)
    return _Opened(config, DuckDBEngine(config, rules))


def _permit(path: Path, opened: _Opened) -> tuple[Permit, list[str]]:
    """Return a permit's content, and what would keep this node from taking it."""
    from pydantic import ValidationError

    from archipel import identity, manifest, permit

    try:
        token = path.read_text(encoding="utf-8").strip()
        federation = manifest.verify(
            opened.config.federation.manifest.read_text(encoding="utf-8").strip(),
            identity.load_public_key(opened.config.federation.authority_key),
        )
    except (OSError, UnicodeDecodeError) as cause:
        name = getattr(cause, "filename", None) or path
        raise errors.error(errors.CONFIG_INVALID, f"{name} cannot be read.") from None
    try:
        granted = permit.Permit.model_validate(permit.read_unverified(token))
    except ValidationError as cause:
        raise errors.error(errors.PERMIT_INVALID, f"{path} holds no permit.") from cause
    concerns = []
    try:
        key = identity.load_public_key(opened.config.federation.authority_key)
        permit.verify(token, key, federation=federation.federation, now=time.time())
    except errors.ArchipelError as problem:
        concerns.append(problem.info.message)
    if opened.config.node not in granted.nodes:
        concerns.append("The permit does not name this node.")
    return granted, concerns


def _decide(sql: str, opened: _Opened, granted: Permit, destination: str, epsilon: float | None) -> Release:
    from archipel.request import Privacy
    from node_agent.decisions import Decisions

    privacy = Privacy(epsilon=epsilon) if epsilon is not None else None
    decisions = Decisions(opened.config.node)
    return decisions.decide(sql, opened.engine.tables(), {}, granted, destination=destination, privacy=privacy)


def _tell(release: Release, rules: Policy, destination: str, concerns: list[str]) -> None:
    from archipel.policy_node import strictest
    from node_agent.approve_cli import plain

    print("ALLOWED by the border check" if not concerns else "ALLOWED by the border check, but not answered")
    for concern in concerns:
        print(f"  but: {concern}")
    groups = f", of groups of at least {release.min_persons} distinct persons" if release.protected else ""
    print(f"  rule:    {release.rule}")
    print(f"  leaves:  {release.form.name.lower()}{groups}")
    print(f"  to:      {f'the node {destination}, sealed' if destination else 'the coordinator'}")
    print(f"  tables:  {', '.join(release.tables) or 'none'}")
    print(f"  columns: {', '.join(release.columns) or 'none'}")
    mode = strictest([rules.approval_of(table) for table in release.tables])
    if mode != "auto":
        what = "every statement" if mode == "every-query" else "the first use of the permit by each researcher"
        print(f"  then:    a person at the node decides: on {what}")
    if release.protected and not rules.node.open_at(time.time()):
        opens = rules.node.next_opening(time.time())
        print(f"  then:    it waits for the node's hours, next from {opens:%A %Y-%m-%d %H:%M} ({opens.tzinfo})")
    print("what would run:")
    print("\n".join(f"  {plain(line)}" for line in release.sql.splitlines()))


def _about_peers(rules: Policy, node: str) -> tuple[str, ...]:
    """Return what is wrong with the peers of a policy that only the node's own name shows."""
    named = [name for name, table in rules.tables.items() if node in table.peers]
    return tuple(f"table {name}: peers names {node}, which is this node" for name in named)
