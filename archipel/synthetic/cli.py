"""The ``archipel synthetic`` command."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from archipel import errors, synthetic
from archipel.cli.exits import exit_code, show


def whole_number(value: str | int) -> int:
    """Read a number as people write large ones: 1000000 or 1_000_000. Typer passes defaults through here too."""
    digits = str(value).replace("_", "")
    if not (digits.isascii() and digits.isdigit()):
        raise typer.BadParameter("a whole number is needed, such as 1_000_000")
    return int(digits)


def synthetic_command(
    out: Annotated[Path, typer.Option("--out", help="Folder to write to: empty, new, or holding a world to replace.")],
    persons: Annotated[
        int, typer.Option(parser=whole_number, metavar="N", help="How many persons; 1_000_000 is understood.")
    ] = 20_000,
    hospitals: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="How many hospitals, 1 to 26.")] = 3,
    seed: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Same seed, same bytes.")] = 7,
) -> None:
    """Make up a linked French health world: CNAM and hospitals. Nobody in it exists."""
    started = time.monotonic()
    try:
        world = synthetic.generate(out, persons=persons, hospitals=hospitals, seed=seed)
    except errors.ArchipelError as problem:
        show(problem)
        raise typer.Exit(exit_code(problem)) from None
    folder = ""
    for file in world.files:
        if file.folder != folder:
            folder = file.folder
            print(f"{folder}/")
        print(f"  {file.table:24} {file.rows:14,} rows {file.bytes / 1e6:10,.1f} MB")
    rows, size = sum(file.rows for file in world.files), sum(file.bytes for file in world.files)
    print(f"{rows:,} rows, {size / 1e6:,.1f} MB in {out}, made in {time.monotonic() - started:.1f} s (seed {seed})")
