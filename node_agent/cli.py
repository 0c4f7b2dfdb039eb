"""``archipel node``: run an agent, check its configuration, show what it would register."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archipel.cli.exits import Exit

if TYPE_CHECKING:
    from node_agent.agent import Agent
    from node_agent.assembly import Node
    from node_agent.config import NodeConfig

app = typer.Typer(no_args_is_help=True, help="Run a node agent beside the data of its holder.")

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
            for column in table.columns:
                role = (
                    "person"
                    if column.name.lower() == (table.person_column or "").lower()
                    else policy.role_of(column.name).value
                )
                print(f"    {column.name:24} {column.type:16} {role}")
        for problem in node.engine.problems():
            print(f"problem: {problem}", file=sys.stderr)
    finally:
        node.close()


async def _run(config: NodeConfig) -> None:
    from archipel import telemetry
    from node_agent.agent import Agent, SourceChanged
    from node_agent.assembly import assemble
    from node_agent.health import serve_health

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    log = logging.getLogger(__name__)
    with telemetry.configure(config.telemetry):
        node = assemble(config)
        try:
            async with serve_health(config.health_listen):
                while True:
                    _tell(node, log)
                    agent = Agent(node.settings, node.runner, node.engine)
                    watcher = asyncio.create_task(_stop_when(stopped, agent))
                    try:
                        await agent.run()
                        break
                    except SourceChanged:
                        log.warning("a data file changed: opening the sources anew")
                    finally:
                        watcher.cancel()
                        await asyncio.gather(watcher, return_exceptions=True)
                    node.reopen()
        finally:
            node.close()
    log.info("stopped")


def _tell(node: Node, log: logging.Logger) -> None:
    log.info("node %s holds %d tables", node.config.node, len(node.engine.tables()))
    for problem in node.engine.problems():
        log.error("left out: %s", problem)
    for warning in node.engine.warnings():
        log.warning("%s", warning)


async def _stop_when(stopped: asyncio.Event, agent: Agent) -> None:
    await stopped.wait()
    agent.stop()
