"""``archipel node``: run an agent, check its configuration, show what it would register."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archipel import errors
from archipel.cli.exits import Exit
from node_agent import operator_cli
from node_agent.approve_cli import approve

if TYPE_CHECKING:
    from node_agent.agent import Agent
    from node_agent.assembly import Node
    from node_agent.config import NodeConfig

app = typer.Typer(no_args_is_help=True, help="Run a node agent beside the data of its holder.")

app.command()(approve)

DECISIONS_READ_S = 2.0
"""How often the agent looks for decisions of the person at the node, so that they stand in the audit log soon; before
it obeys one it looks anyway."""

app.command()(operator_cli.stop)
app.command()(operator_cli.resume)
app.add_typer(operator_cli.ledger, name="ledger")

Config = Annotated[Path, typer.Option("--config", help="The node's configuration file.")]


@app.command()
def run(config: Config) -> None:
    """Run the agent until SIGTERM or Ctrl-C; then finish what runs and end."""
    from node_agent import config as configuration

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(_run(configuration.load(config)))


@app.command("check-config")
def check_config(config: Config) -> None:
    """Read configuration, policy, keys and sources; say what is wrong. Ends with 5 when a table cannot be read."""
    from node_agent import config as configuration
    from node_agent.assembly import assemble

    node = assemble(configuration.load(config), with_audit=False)
    try:
        problems = node.engine.problems()
        for problem in problems:
            print(f"problem: {problem}")
        for warning in node.engine.warnings():
            print(f"warning: {warning}")
        print(f"{config}: {len(node.engine.tables())} of {len(node.config.tables)} tables can be read")
    finally:
        node.close()
    if problems:
        raise typer.Exit(Exit.OPERATION)


@app.command()
def tables(config: Config) -> None:
    """Show what this node would register, and what its policy lets out."""
    from node_agent import config as configuration
    from node_agent.assembly import assemble

    node = assemble(configuration.load(config), with_audit=False)
    try:
        for table in node.engine.tables():
            policy = table.policy
            kind = f"protected, at least {policy.min_persons} persons" if policy.protected else "not protected"
            print(f"{table.name}: {table.distribution.value}; {kind}; leaves: {policy.coordinator_form.name.lower()}")
            values = {each.column: f" (told: {each.least} to {each.greatest})" for each in table.ranges}
            for column in table.columns:
                role = (
                    "person"
                    if column.name.lower() == (table.person_column or "").lower()
                    else policy.role_of(column.name).value
                )
                ends = values.get(column.name, "")
                print(f"    {column.name:24} {column.type:16} {role}{ends}")
        for problem in node.engine.problems():
            print(f"problem: {problem}", file=sys.stderr)
    finally:
        node.close()


@app.command()
def snapshot(config: Config) -> None:
    """Print the digest of each table's data, as a policy pins it."""
    from node_agent import config as configuration
    from node_agent.engine import sources

    settings = configuration.load(config)
    places = {source.name: source for source in settings.sources}
    for table in settings.tables:
        try:
            files = [sources.FileState.of(path) for path in sources.paths_of(table, places[table.source])]
            print(f"{table.name}: {sources.content_digest(files)}" if files else f"{table.name}: no file")
        except OSError as cause:
            text = f"The data of table '{table.name}' cannot be read: {cause.strerror}."
            raise errors.error(errors.NODE_SOURCE, text, hint="") from None


async def _run(config: NodeConfig) -> None:
    from archipel import telemetry
    from node_agent.agent import Agent, SourceChanged
    from node_agent.assembly import assemble
    from node_agent.health import serve_health

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    changed = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, changed.set)
    log = logging.getLogger(__name__)
    with telemetry.configure(config.telemetry, events=config.telemetry.audit_events):
        node = assemble(config)
        try:
            async with serve_health(config.health_listen):
                while True:
                    _tell(node, log)
                    agent = Agent(node.settings, node.runner, node.engine)
                    watchers = [
                        asyncio.create_task(_stop_when(stopped, agent)),
                        asyncio.create_task(_read_decisions(node, log)),
                        asyncio.create_task(_adopt_policy_when(changed, node, agent, log)),
                    ]
                    try:
                        await agent.run()
                        break
                    except SourceChanged:
                        log.warning("data or policy changed: opening the sources anew")
                    finally:
                        for watcher in watchers:
                            watcher.cancel()
                        await asyncio.gather(*watchers, return_exceptions=True)
                    node.reopen()
        finally:
            node.close()
    log.info("stopped")


def _tell(node: Node, log: logging.Logger) -> None:
    log.info("node %s holds %d tables", node.config.node, len(node.engine.tables()))
    log.info("%s", node.runner.gate.about())
    for problem in node.engine.problems():
        log.error("left out: %s", problem)
    for warning in node.engine.warnings():
        log.warning("%s", warning)


async def _stop_when(stopped: asyncio.Event, agent: Agent) -> None:
    await stopped.wait()
    agent.stop()


async def _read_decisions(node: Node, log: logging.Logger) -> None:
    while node.audit is not None:
        try:
            await asyncio.to_thread(node.runner.gate.take_decisions, node.audit)
        except errors.ArchipelError as problem:
            log.error("decisions of the person at the node cannot be read: %s", problem.info.message)
        await asyncio.sleep(DECISIONS_READ_S)


async def _adopt_policy_when(changed: asyncio.Event, node: Node, agent: Agent, log: logging.Logger) -> None:
    """At SIGHUP read the policy again; one that is wrong changes nothing."""
    while True:
        await changed.wait()
        changed.clear()
        try:
            adopted = await asyncio.to_thread(node.adopt_policy)
        except errors.ArchipelError as problem:
            log.error("the policy stays as it was: %s", problem)
            continue
        if not adopted:
            log.info("the policy file says what it said before")
            continue
        log.warning("another policy is in force: %s", node.settings.policy_digest)
        node.engine.retire()
        agent.look_at_sources()
