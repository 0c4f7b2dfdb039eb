"""``archipel node stop``, ``resume`` and ``ledger``: what the operator tells a node, and what its ledger holds.

These write into the node's own folder; a running agent takes it up within half a second, one that does not run when it
starts. Nothing here needs the agent, the coordinator or the network.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archipel import errors
from archipel.cli.exits import Exit

if TYPE_CHECKING:
    from node_agent.privacy_store import Spent
    from node_agent.switches import Subject, Switches

Config = Annotated[Path, typer.Option("--config", help="The node's configuration file.")]
Permit = Annotated[str | None, typer.Option(help="This permit only, by its id.")]
Researcher = Annotated[str | None, typer.Option(help="This researcher only, by the name in their permits.")]
Everything = Annotated[bool, typer.Option("--all", help="The whole node.")]
Because = Annotated[str, typer.Option(help="Why; it stands in the audit log.")]
By = Annotated[str, typer.Option(help="Who does it, beside the account's name.")]

ledger = typer.Typer(no_args_is_help=True, help="Look at the ledger of earlier answers; unlock permits.")


def stop(
    config: Config,
    because: Because,
    permit: Permit = None,
    researcher: Researcher = None,
    everything: Everything = False,
    by: By = "",
) -> None:
    """Stop a permit, a researcher or the whole node: nothing more is answered, and what runs ends within a second."""
    subject, name = _subject(permit, researcher, everything)
    given = _switches(config).give("stop", subject, name, _reason(because), now=time.time(), by=by)
    print(f"stopped: {subject} {name}".rstrip() + f" (instruction {given.number})")


def resume(
    config: Config,
    because: Because,
    permit: Permit = None,
    researcher: Researcher = None,
    everything: Everything = False,
    by: By = "",
) -> None:
    """Take back a stop. What was stopped by other instructions stays so."""
    subject, name = _subject(permit, researcher, everything)
    switches = _switches(config)
    given = switches.give("resume", subject, name, _reason(because), now=time.time(), by=by)
    print(f"resumed: {subject} {name}".rstrip() + f" (instruction {given.number})")
    _tell(switches)


@ledger.command("show")
def show(config: Config) -> None:
    """Show what the ledger holds, what each permit has used, which are locked, and what is stopped."""
    from node_agent.ledger_store import overview

    found = overview(_folder(config))
    print(f"{found.entries} entries ({found.purged} purged), {found.bytes / 1e6:.1f} MB")
    for used in found.usages:
        line = f"permit {used.permit}: {used.questions} questions, {used.cells} groups, {used.refusals} refusals"
        if used.locked is not None:
            line += f"; LOCKED {datetime.fromtimestamp(used.locked, UTC):%Y-%m-%d %H:%M} UTC: {used.because}"
        print(line)
    for spent in _spent(config):
        print(f"permit {spent.permit}: {spent.answers} payments for private answers, epsilon {spent.epsilon:g}")
    _tell(_switches(config))


@ledger.command("verify")
def verify(config: Config) -> None:
    """Check that no entry was altered, removed or moved. Ends with 1 when one was."""
    from node_agent.ledger_store import overview

    try:
        found = overview(_folder(config), verify=True)
    except errors.ArchipelError as problem:
        print(f"DOES NOT VERIFY: {problem.info.message}")
        raise typer.Exit(1) from None
    print(f"verified: {found.entries} entries")


@ledger.command("unlock")
def unlock(
    config: Config,
    permit: Annotated[str, typer.Argument(help="The permit's id.")],
    because: Because,
    by: By = "",
) -> None:
    """Unlock a permit that was locked after repeated differences, and forget those."""
    given = _switches(config).give("unlock", "permit", permit, _reason(because), now=time.time(), by=by)
    print(f"unlocked: permit {permit} (instruction {given.number})")


def _subject(permit: str | None, researcher: str | None, everything: bool) -> tuple[Subject, str]:
    if (permit is not None) + (researcher is not None) + everything != 1:
        print("name one of --permit, --researcher and --all")
        raise typer.Exit(Exit.USAGE)
    if permit is not None:
        return "permit", permit
    return ("researcher", researcher) if researcher is not None else ("all", "")


def _reason(because: str) -> str:
    if not because.strip():
        print("--because needs a reason: it stands in the audit log")
        raise typer.Exit(Exit.USAGE)
    return because.strip()


def _switches(config: Path) -> Switches:
    from node_agent import config as configuration
    from node_agent.switches import Switches

    return Switches(configuration.load(config).state_dir)


def _folder(config: Path) -> Path:
    from node_agent import config as configuration
    from node_agent.ledger import LEDGER_FOLDER

    return configuration.load(config).state_dir / LEDGER_FOLDER


def _spent(config: Path) -> list[Spent]:
    from node_agent import config as configuration
    from node_agent import privacy_store

    return privacy_store.overview(configuration.load(config).state_dir / privacy_store.FOLDER)


def _tell(switches: Switches) -> None:
    stopped = switches.stopped()
    if stopped.broken:
        print("EVERYTHING is stopped: the operator's instructions cannot be read")
    if stopped.everything:
        print("still stopped: all")
    for word, names in (("permit", stopped.permits), ("researcher", stopped.researchers)):
        for name in sorted(names):
            print(f"still stopped: {word} {name}")
