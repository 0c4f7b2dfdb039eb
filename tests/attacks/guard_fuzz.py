"""Fuzzing of the guard alone: the border check over very many statements, without running any of them.

    python tests/attacks/guard_fuzz.py --statements 1000000 --jobs 2 --seed 7

A statement that the check lets through is bound by DuckDB over tables that lack every column which policy hides or the
permit does not name. If it binds there, nothing in it can touch such a column, whatever the check believes of it: the
engine's own binder is the judge. A check that raises anything but an error of the catalogue, or takes too long, is a
find too. Finds are printed with their statement; the same seed finds them again.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "attacks")]

import attack_cases  # noqa: E402
import attack_fuzz  # noqa: E402
import duckdb  # noqa: E402
from attack_attempts import INPUTS, prepare  # noqa: E402
from sqlglot import exp  # noqa: E402

from archipel import errors, permit, sketches  # noqa: E402
from archipel.border import check  # noqa: E402
from archipel.border.decision import BorderContext, Release  # noqa: E402
from archipel.schema import NODE_COLUMN, Column, Role, Table  # noqa: E402

SLOW_S = 10.0
"""CPU seconds that one check may take at most."""
MAX_CHARACTERS = 4_000
INPUT = "fill"
"""The table that the hostile coordinator hands in beside each statement."""


@dataclass(slots=True)
class Report:
    """What became of the statements, and what was found."""

    ended: Counter[str] = field(default_factory=Counter)
    finds: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Take what another part of the run has found."""
        self.ended += other.ended
        self.finds += other.finds

    def lines(self) -> list[str]:
        """Return it in words."""
        total = self.ended.total()
        told = ", ".join(f"{count:,} {name}" for name, count in self.ended.most_common(12))
        return [f"{total:,} statements: {told}", f"{len(self.finds)} finds", *self.finds]


class Guard:
    """The border check as the ward's node would decide, and the engine that judges what it lets through."""

    def __init__(self, directory: Path) -> None:
        attacker = prepare(directory)
        self.tables = attacker.node.engine.tables()
        self.permit = attacker.permit()
        attacker.close()
        columns = tuple(Column(name, "BIGINT") for name in INPUTS[INPUT].column_names)
        self.context = BorderContext(
            node="chu",
            tables={table.name.lower(): table for table in self.tables},
            inputs={INPUT: columns},
            permit=self.permit,
        )
        self.judge = duckdb.connect(config={"threads": 1})
        self.judge.execute(sketches.DEFINITION)
        for table in self.tables:
            self.judge.execute(_creation(table.name, _visible(table, self.permit)))
        self.judge.execute(_creation(INPUT, [(column.name, column.type) for column in columns]))

    def try_one(self, sql: str, report: Report) -> None:
        """Decide on one statement and judge the decision."""
        started = time.process_time()
        try:
            release = check(sql, self.context)
        except errors.ArchipelError as problem:
            report.ended[problem.code] += 1
        except Exception as fault:  # noqa: BLE001 - that is what is looked for
            report.ended["CRASH"] += 1
            report.finds.append(f"{type(fault).__name__}: {sql}")
        else:
            report.ended[self._judged(sql, release, report)] += 1
        if time.process_time() - started > SLOW_S:
            report.finds.append(f"slow: {sql[:500]}")

    def _judged(self, sql: str, release: Release, report: Report) -> str:
        """Return how a statement that was let through is counted, after the engine has looked at it."""
        try:
            self.judge.execute("EXPLAIN " + release.sql)
        except duckdb.BinderException as problem:
            text = str(problem)
            if "not found" in text or "does not have a column" in text:
                report.finds.append(f"touches a column that is not the researcher's: {sql} -- {text}")
            return "let through, but does not bind"
        except duckdb.Error:
            return "let through, but fails"
        return "let through"


def run(directory: Path, statements: int, seed: int) -> Report:
    """Try random statements: composed, mutated, grafted, and with hidden columns put in the place of others."""
    source, report, guard = random.Random(seed), Report(), Guard(directory)
    cases = (*attack_cases.refused(), *attack_cases.small(), *attack_cases.masked(), *attack_cases.failures())
    corpus = [case.sql for case in cases if len(case.sql) < 2_000]
    corpus += [attack_fuzz.composed(source).sql for _ in range(200)]
    trees = attack_fuzz.trees(corpus)
    hidden = [
        column.name
        for table in guard.tables
        for column in table.columns
        if column.name not in {name for name, _ in _visible(table, guard.permit)}
    ]
    kinds = (
        lambda: attack_fuzz.composed(source).sql,
        lambda: attack_fuzz.mutated(source, corpus),
        lambda: attack_fuzz.grafted(source, trees),
        lambda: smuggled(source, trees, hidden),
    )
    for _ in range(statements):
        guard.try_one(source.choice(kinds)()[:MAX_CHARACTERS], report)
    return report


def smuggled(source: random.Random, trees: Sequence[exp.Expression], hidden: Sequence[str]) -> str:
    """Return a statement in which some columns are hidden ones."""
    tree = source.choice(trees).copy()
    columns = [column for column in tree.find_all(exp.Column) if isinstance(column.this, exp.Identifier)]
    for column in source.sample(columns, min(len(columns), source.randint(1, 2))):
        column.set("this", exp.to_identifier(source.choice(hidden), quoted=source.random() < 0.3))
    try:
        return tree.sql("duckdb")
    except (ValueError, AttributeError, TypeError):
        return "SELECT"


def _visible(table: Table, granted: permit.Permit) -> list[tuple[str, str]]:
    """Return the columns that a statement may touch."""
    seen = [
        (column.name, column.type)
        for column in table.columns
        if granted.allows_column(table.name, column.name)
        and (
            table.policy.role_of(column.name) is not Role.HIDDEN
            or column.name.lower() == (table.person_column or "").lower()
        )
    ]
    return [*seen, (NODE_COLUMN, "VARCHAR")]


def _creation(name: str, columns: Sequence[tuple[str, str]]) -> str:
    definitions = [
        exp.ColumnDef(this=exp.to_identifier(column, quoted=True), kind=exp.DataType.build(kind, dialect="duckdb"))
        for column, kind in columns
    ]
    schema = exp.Schema(this=exp.to_table(name), expressions=definitions)
    return exp.Create(this=schema, kind="TABLE").sql("duckdb")


def _part(seed: int, statements: int) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), statements, seed)


def main() -> int:
    """Run as the command line says; end with 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--statements", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    part = 20_000  # a fresh process and corpus for each part
    parts = [min(part, options.statements - start) for start in range(0, options.statements, part)]
    report = Report()
    with ProcessPoolExecutor(options.jobs) as pool:
        for found in pool.map(_part, range(options.seed, options.seed + len(parts)), parts):
            report.add(found)
            print(report.lines()[0], flush=True)
    print("\n".join(report.lines()))
    return 1 if report.finds else 0


if __name__ == "__main__":
    sys.exit(main())
