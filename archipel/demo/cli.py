"""The ``archipel demo`` command."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_PERSONS = 50_000
DEFAULT_HOSPITALS = 3
DEFAULT_SEED = 7


def demo_command(
    persons: Annotated[int, typer.Option(help="How many persons to make up.")] = DEFAULT_PERSONS,
    hospitals: Annotated[int, typer.Option(help="How many hospitals.")] = DEFAULT_HOSPITALS,
    seed: Annotated[int, typer.Option(help="Seed of the made-up world.")] = DEFAULT_SEED,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Keep everything in this folder; without it a temporary one is used.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the federation running until Ctrl-C.")] = False,
    ray: Annotated[bool, typer.Option(help="Merge the question with many groups on Ray.")] = True,
) -> None:
    """Start a federation of CNAM and hospitals on this machine and ask it research questions.

    Everything is real but the patients: separate processes, mutual TLS, permits, border checks, audit logs.
    """
    from archipel.demo.runner import DemoOptions, run_demo

    with tempfile.TemporaryDirectory(prefix="archipel-demo-") as scratch:
        options = DemoOptions(
            directory=directory or Path(scratch), persons=persons, hospitals=hospitals, seed=seed, keep=keep, ray=ray
        )
        raise typer.Exit(run_demo(options))
