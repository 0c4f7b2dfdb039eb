"""``archipel node``: run an agent, check its configuration, show what it would register."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
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
    """Read configuration, policy, keys and sources, and say what is wrong with them."""
    from node_agent import config as configuration
    from node_agent.assembly import assemble

    node = assemble(configuration.load(config), with_audit=False)
    try:
        for problem in node.engine.problems():
            print(f"problem: {problem}")
        print(f"{config}: {len(node.engine.tables())} tables can be read")
        if node.engine.problems():
            raise typer.Exit(5)
    finally:
        node.close()


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
                print(f"    {column.name:24} {column.type:16} {policy.role_of(column.name).value}")
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
    with telemetry.configure(config.telemetry):
        async with serve_health(config.health_listen):
            while not stopped.is_set():
                node = assemble(config)
                try:
                    for problem in node.engine.problems():
                        logging.getLogger(__name__).error("%s", problem)
                    agent = Agent(node.settings, node.runner, node.engine)
                    watcher = asyncio.create_task(_stop_when(stopped, agent))
                    try:
                        await agent.run()
                    except SourceChanged:
                        logging.getLogger(__name__).warning("a data file changed: opening the sources anew")
                    finally:
                        watcher.cancel()
                        await asyncio.gather(watcher, return_exceptions=True)
                finally:
                    node.close()


async def _stop_when(stopped: asyncio.Event, agent: object) -> None:
    from node_agent.agent import Agent

    await stopped.wait()
    assert isinstance(agent, Agent)
    agent.stop()
