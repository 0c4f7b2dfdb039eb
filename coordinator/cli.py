"""``archipel coordinator``: run a coordinator, or check its configuration."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from coordinator.config import CoordinatorConfig

app = typer.Typer(no_args_is_help=True, help="Run the coordinator of a federation.")

Config = Annotated[Path, typer.Option("--config", help="The coordinator's configuration file.")]


@app.command()
def run(config: Config) -> None:
    """Run the coordinator until SIGTERM or Ctrl-C; then let running queries end."""
    from coordinator import config as configuration

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(_run(configuration.load(config)))


@app.command("check-config")
def check_config(config: Config) -> None:
    """Read configuration, keys and manifest, open the store, and say what is wrong with them."""
    from coordinator import config as configuration
    from coordinator.assembly import assemble

    parts = assemble(configuration.load(config))
    try:
        names = ", ".join(node.name for node in parts.manifest.nodes)
        print(f"{config}: coordinator of '{parts.manifest.federation}' with the nodes {names}")
    finally:
        parts.merger.close()
        parts.store.close()


async def _run(config: CoordinatorConfig) -> None:
    from archipel import telemetry
    from coordinator.assembly import assemble
    from coordinator.server import Server

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    with telemetry.configure(config.telemetry):
        server = Server(assemble(config))
        try:
            await server.start()
            # What start-up made lives as long as the process. Leaving it out halves the pauses of full collections,
            # which planning, with its many small objects that point to each other, brings about.
            gc.collect()
            gc.freeze()
            await stopped.wait()
        finally:
            await server.stop()
