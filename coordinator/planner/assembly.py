"""Collects the stages and exchanges of a plan while it is being made, and asks the border check about every node stage.

Stages of a way that turned out to be closed are taken back: a plan holds only what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from archipel import errors
from archipel.border import check, parsing, vocabulary
from archipel.border.decision import BorderContext, Release
from archipel.permit import Permit
from archipel.schema import Column, Form, Table
from coordinator.catalog import Catalog
from coordinator.plan import COORDINATOR, SHARD_COLUMN, Exchange, OutputColumn, Stage, StageKind
from coordinator.planner.bind import Describe
from coordinator.planner.carried import as_sent, check_carried
from coordinator.planner.estimate import estimate
from coordinator.planner.positions import position_of

STAYS = "stays at the coordinator"


@dataclass(frozen=True, slots=True)
class Source:
    """A table that a stage of the coordinator reads: an exchange's name and its columns."""

    name: str
    columns: tuple[OutputColumn, ...]


@dataclass(slots=True)
class _Open:
    """An exchange whose target is not known yet."""

    source: str
    form: Form
    rule: str
    rows: int
    size: int
    columns: tuple[OutputColumn, ...]
    kind: StageKind


@dataclass(slots=True)
class Assembly:
    """The plan in the making."""

    catalog: Catalog
    permit: Permit
    describe: Describe
    prefix: str
    stages: list[Stage] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _open: dict[str, _Open] = field(default_factory=dict)
    _known: dict[tuple[object, ...], Source] = field(default_factory=dict)
    _names: int = 0

    def mark(self) -> tuple[object, ...]:
        """Return a point to which ``back`` can return."""
        return (
            list(self.stages),
            list(self.exchanges),
            dict(self._open),
            dict(self._known),
            list(self.notes),
            self._names,
        )

    def back(self, mark: tuple[object, ...]) -> None:
        """Take back everything since ``mark``."""
        self.stages, self.exchanges, self._open, self._known, self.notes, self._names = mark  # type: ignore[assignment]

    def node_stage(self, tree: exp.Query, sites: tuple[str, ...], inputs: Mapping[str, Source]) -> Source:
        """Add a statement that runs at ``sites``, unless the same one is there already; return what it delivers.

        Raises:
            ArchipelError: the border check of one of the sites refuses it.
        """
        tree = self._typed(tree, tuple(inputs))
        sql = tree.sql("duckdb")
        key = ("node", sql, sites)
        if key in self._known:
            return self._known[key]
        release = self._check(tree, sites, inputs)
        columns = self.describe(sql, {name: source.columns for name, source in inputs.items()})
        check_carried(tree, columns)
        stage_id = f"s{len(self.stages) + 1}"
        names = tuple(sorted(inputs))
        self.stages.append(Stage(stage_id, StageKind.NODE, sites, sql, columns, names))
        self._close(names, stage_id)
        rows, size = estimate(tree, self.catalog, sites, columns)
        source = self._exchange(stage_id, release.form, release.rule, rows, size, columns, StageKind.NODE)
        self._known[key] = source
        return source

    def merge_stage(self, tree: exp.Query, source: Source, keys: tuple[str, ...]) -> Source:
        """Add the merge of what nodes delivered as ``source``; return its output."""
        sql = tree.sql("duckdb")
        key = ("merge", sql, source.name)
        if key in self._known:
            return self._known[key]
        columns = self.describe(sql, {source.name: self._seen(source)})
        stage_id = f"s{len(self.stages) + 1}"
        self.stages.append(Stage(stage_id, StageKind.MERGE, (COORDINATOR,), sql, columns, (source.name,), keys))
        opened = self._open[source.name]
        self._close((source.name,), stage_id)
        merged = self._exchange(stage_id, opened.form, STAYS, opened.rows, opened.size, columns, StageKind.MERGE)
        self._known[key] = merged
        return merged

    def finish_stage(self, tree: exp.Query) -> tuple[str, tuple[OutputColumn, ...]]:
        """Add a statement of the coordinator over the exchanges that it names; return its stage and columns.

        Raises:
            ArchipelError: it calls a function or uses syntax that is on no allow-list, or names what is not there.
        """
        names = self.read_by(tree)
        self._check_own(tree, names)
        sql = self._typed(tree, names).sql("duckdb")
        columns = self.describe(sql, self.columns_of(names))
        stage_id = f"s{len(self.stages) + 1}"
        self.stages.append(Stage(stage_id, StageKind.FINISH, (COORDINATOR,), sql, columns, names))
        self._close(names, stage_id)
        return stage_id, columns

    def describe_own(self, tree: exp.Query) -> tuple[OutputColumn, ...]:
        """Return the columns of a statement of the coordinator."""
        names = self.read_by(tree)
        return self.describe(self._typed(tree, names).sql("duckdb"), self.columns_of(names))

    def finished(self, tree: exp.Query) -> Source:
        """Add a finish stage whose output goes to nodes, unless it is there already; return that output."""
        key = ("finish", tree.sql("duckdb"))
        if key not in self._known:
            stage_id, columns = self.finish_stage(tree)
            self._known[key] = self._exchange(stage_id, Form.AGGREGATE, STAYS, 0, 0, columns, StageKind.FINISH)
        return self._known[key]

    def estimated(self, name: str) -> tuple[int, int]:
        """Return the estimated rows and bytes of an exchange."""
        return self._open[name].rows, self._open[name].size

    def read_by(self, tree: exp.Expr) -> tuple[str, ...]:
        """Return the names of the exchanges that a tree reads, sorted."""
        found = {t.name for t in tree.find_all(exp.Table) if t.name in self._open}
        return tuple(sorted(found, key=lambda name: int(name.removeprefix(self.prefix))))

    def columns_of(self, names: tuple[str, ...]) -> dict[str, tuple[OutputColumn, ...]]:
        """Return the columns of exchanges, as a statement of the coordinator sees them."""
        return {n: self._seen(Source(n, self._open[n].columns)) for n in names}

    def _seen(self, source: Source) -> tuple[OutputColumn, ...]:
        if self._open[source.name].kind is StageKind.NODE:
            return (*source.columns, OutputColumn(SHARD_COLUMN, "INTEGER"))
        return source.columns

    def _exchange(
        self,
        stage_id: str,
        form: Form,
        rule: str,
        rows: int,
        size: int,
        columns: tuple[OutputColumn, ...],
        kind: StageKind,
    ) -> Source:
        self._names += 1
        name = f"{self.prefix}{self._names}"
        self._open[name] = _Open(stage_id, form, rule, rows, size, columns, kind)
        return Source(name, columns)

    def _close(self, names: tuple[str, ...], target: str) -> None:
        for name in names:
            o = self._open[name]
            self.exchanges.append(Exchange(name, o.source, target, o.form, o.rule, o.rows, o.size))

    def _typed(self, tree: exp.Query, names: tuple[str, ...]) -> exp.Query:
        """Return the tree over exchanges whose columns have the types that they had where they were sent.

        What was merged is left alone: the final value of every aggregate is cast by itself.
        """
        sent = [n for n in names if self._open[n].kind is not StageKind.MERGE]
        casts = {n: as_sent(n, self._open[n].columns, self.describe) for n in sent}
        if not any(casts.values()):
            return tree
        typed = tree.copy()
        for table in list(typed.find_all(exp.Table)):
            select = casts.get(table.name)
            if select is not None:
                derived = select.copy().subquery(table.args["alias"].this, copy=False)
                for key in ("joins", "laterals"):
                    derived.set(key, table.args.get(key))
                table.replace(derived)
        return typed

    def _check_own(self, tree: exp.Query, names: tuple[str, ...]) -> None:
        """Make sure that a statement of the coordinator reads exchanges only, and consists of known syntax."""
        parsing.check_syntax(tree, vocabulary.COORDINATOR)
        common = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
        for table in tree.find_all(exp.Table):
            if isinstance(table.this, exp.Identifier) and table.name not in names and table.name not in common:
                raise errors.error(
                    errors.SQL_UNSUPPORTED,
                    f"Table '{table.name}' stands in a place from which its rows cannot be brought together yet.",
                    position=position_of(table),
                )

    def _check(self, tree: exp.Query, sites: tuple[str, ...], inputs: Mapping[str, Source]) -> Release:
        """Run the border check as each site would; sites whose tables and policies are alike are asked once."""
        released: Release | None = None
        asked: list[dict[str, Table]] = []
        columns = {name: tuple(Column(c.name, c.type) for c in source.columns) for name, source in inputs.items()}
        named = {t.name for t in tree.find_all(exp.Table)}
        for site in sites:
            tables = {
                name: entry.shards[site]
                for name, entry in self.catalog.tables.items()
                if name in named and site in entry.shards
            }
            if tables in asked:
                continue
            asked.append(tables)
            context = BorderContext(node=site, tables=tables, inputs=columns, permit=self.permit)
            try:
                released = check(tree, context)
            except errors.ArchipelError as problem:
                raise errors.with_context(problem, node=site if len(asked) > 1 else "") from None
        assert released is not None
        return released
