"""Runs the demo: makes up a world, starts the federation, asks, checks, and shows what crossed which border."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table as RichTable

import archipel
from archipel import errors, synthetic
from archipel.demo.layout import NOT_COMPARED, Layout, write_layout
from archipel.demo.oracle import Oracle, compare, shards_of
from archipel.demo.processes import LocalFederation
from archipel.demo.questions import QUESTIONS, Question
from archipel.demo.world_setup import world_setups

RAY_DEMO_THRESHOLD_BYTES = 32 * 1024
"""Far below the measured threshold, so that the one question with many groups is merged on Ray for all to see."""

ROWS_SHOWN = 12

KEEP_SQL = "SELECT COD_SEX, count(*) FROM T_MCOaaB GROUP BY COD_SEX"

PRINTED_WIDTH = 120
"""Columns where the output is no terminal."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What ``archipel demo`` was asked to do."""

    directory: Path
    persons: int
    hospitals: int
    seed: int
    keep: bool = False
    ray: bool = True


def run_demo(options: DemoOptions) -> int:
    """Run the whole demo; return the exit code: 0 when every answer was as it must be."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PRINTED_WIDTH)
    try:
        return _run(options, console)
    except errors.ArchipelError as problem:
        console.print(f"[bold red]{problem.code}[/] {problem}")
        return 5
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130


def _run(options: DemoOptions, console: Console) -> int:
    world = options.directory / "world"
    started = time.monotonic()
    console.rule("[bold]A made-up French health world")
    synthetic.generate(world, persons=options.persons, hospitals=options.hospitals, seed=options.seed)
    setups = world_setups(world)
    console.print(
        f"{options.persons:,} persons, {len(setups)} holders ({', '.join(s.name for s in setups)}), "
        f"{_megabytes(_size(world))} of Parquet, in {time.monotonic() - started:.1f} s. Nobody in it exists."
    )
    merge: dict[str, Any] = {"ray": {"mode": "local" if options.ray else "off"}}
    if options.ray:
        merge["threshold_bytes"] = RAY_DEMO_THRESHOLD_BYTES
    # The questions' cohorts differ by few of so few persons: with the ledger's comparison some would be refused.
    layout = write_layout(options.directory, setups, coordinator_settings={"merge": merge}, node_policy=NOT_COMPARED)
    with LocalFederation(layout) as federation:
        console.print(f"Coordinator and {len(setups)} nodes run as separate processes; mutual TLS; {layout.address}.\n")
        oracle = Oracle(shards_of(world))
        try:
            with federation.connect() as connection:
                passed = [
                    _ask(console, connection, oracle, number, question, world, ray=options.ray)
                    for number, question in enumerate(QUESTIONS, start=1)
                ]
        finally:
            oracle.close()
        verified = _verify_audit(console, layout)
        if options.keep:
            _keep(console, layout)
    good = all(passed) and verified
    console.rule()
    console.print(f"{sum(passed)} of {len(passed)} questions went as they must; audit logs {_yes(verified)}.")
    return 0 if good else 1


def _ask(
    console: Console,
    connection: archipel.Connection,
    oracle: Oracle,
    number: int,
    question: Question,
    world: Path,
    *,
    ray: bool,
) -> bool:
    console.rule()
    console.print(f"[bold]{number}. {question.title}[/]\n")
    console.print(Syntax(question.sql.strip(), "sql", theme="ansi_light", background_color="default", word_wrap=True))
    if question.expect_refusal:
        try:
            connection.query_and_wait(question.sql)
        except errors.NotAllowedError as refusal:
            console.print(f"\n[bold]Refused[/] ({refusal.code}): {refusal}\n")
            return True
        console.print("[bold red]This should have been refused.[/]")
        return False
    _show_stages(console, connection, question.sql)
    query = connection.query(question.sql, progress=False)
    result = query.result()
    table = result.to_arrow()
    _show_rows(console, table)
    comparison = compare(table, oracle.query(question.sql), question.keys)
    _show_borders(console, result, world)
    withheld = not result.complete
    for notice in result.notices:
        console.print(f"[yellow]{notice.kind}[/]: {notice.text}")
    merged_right = result.merged_by == "ray" or not (ray and question.on_ray)
    if not merged_right:
        console.print("[bold red]This should have been merged on Ray.[/]")
    if comparison.exact:
        console.print("[green]Equal to one DuckDB that holds all rows.[/]\n")
        return merged_right
    limited = _has_limit(question.sql)
    moved = " (or moved by the LIMIT)" if limited else ""
    console.print(
        f"Against one DuckDB that holds all rows: {comparison.equal} rows equal; {comparison.differing} other, because "
        f"a node kept a part of them back; {comparison.absent} absent, because they were kept back whole{moved}.\n"
    )
    if not withheld:
        console.print("[bold red]The result says it is complete, and differs.[/]\n")
    return merged_right and withheld and (limited or not comparison.unknown)


def _has_limit(sql: str) -> bool:
    return "LIMIT" in sql.upper()


def _show_stages(console: Console, connection: archipel.Connection, sql: str) -> None:
    plan = json.loads(connection.explain(sql).json)
    forms = {exchange["source"]: exchange for exchange in plan["exchanges"]}
    console.print("\n[bold]Stages[/]")
    for stage in plan["stages"]:
        where = "the coordinator" if stage["sites"] == ["@coordinator"] else ", ".join(stage["sites"])
        crossing = forms.get(stage["stage_id"])
        leaves = f"; leaves as {crossing['form']} ({crossing['rule']})" if crossing and stage["kind"] == "node" else ""
        console.print(f"  [bold]{stage['stage_id']}[/] {stage['kind']} at {where}{leaves}", soft_wrap=True)
        if stage["kind"] == "node":
            console.print(f"     [dim]{' '.join(stage['sql'].split())}[/]", soft_wrap=True, markup=True)


def _show_rows(console: Console, table: Any) -> None:
    shown = RichTable(title=f"{table.num_rows} rows", title_justify="left")
    for name in table.column_names:
        shown.add_column(name)
    for row in table.slice(0, ROWS_SHOWN).to_pylist():
        shown.add_row(*(_text(row[name]) for name in table.column_names))
    if table.num_rows > ROWS_SHOWN:
        shown.add_row(*("…" for _ in table.column_names))
    console.print(shown)


def _show_borders(console: Console, result: Any, world: Path) -> None:
    for node in result.nodes:
        folder = world / node.node
        stayed = _size(folder) if folder.is_dir() else 0
        withheld = "" if node.withheld_groups is None else f"; {node.withheld_groups} groups withheld"
        crossed = f"{node.bytes_crossed:,} bytes crossed, {_megabytes(stayed)} stayed"
        console.print(f"  {node.node}: {node.outcome}; {crossed}{withheld}")
    if result.merged_by:
        console.print(f"  merged: {result.merged_by}; {result.elapsed_ms:.0f} ms from submit to result")


def _verify_audit(console: Console, layout: Layout) -> bool:
    console.rule("[bold]Audit logs", align="left")
    good = True
    for node in layout.node_configs:
        done = subprocess.run(
            [sys.executable, "-m", "archipel.cli", "audit", "verify", str(layout.state_dir(node))],
            capture_output=True,
            text=True,
            check=False,
        )
        good = good and done.returncode == 0
        console.print(f"  {node}: {(done.stdout or done.stderr).strip()}")
    return good


def _keep(console: Console, layout: Layout) -> None:
    console.rule("[bold]Running until Ctrl-C", align="left")
    settings = f"ARCHIPEL_ADDRESS={layout.address} ARCHIPEL_PERMIT={layout.permit} ARCHIPEL_KEY={layout.key}"
    connect = f'archipel.connect("{layout.address}", permit="{layout.permit}", key="{layout.key}")'
    for line in (f"export {settings}", "archipel tables", f'archipel query "{KEEP_SQL}"', "", connect):
        console.print(f"  {line}", soft_wrap=True, markup=False)
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("Stopping ...")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _text(value: Any) -> str:
    if value is None:
        return "NULL"
    return f"{value:,.3f}" if isinstance(value, float) else str(value)


def _yes(good: bool) -> str:
    return "verified" if good else "DO NOT VERIFY"
