"""The plan of last resort: every table's rows come to the coordinator, and the query runs there as its author wrote it.

Always right where the holders let rows go, whatever SQL it uses, since nothing of the query is taken apart: in the
place of each table stands what its nodes sent, only the columns that the query can name and, where that is safe, only
the rows that its conditions keep. The engine finds the names, as it would over the tables themselves.

A column is left behind only if its name stands nowhere in the query and nothing stands for all columns, so that no name
can mean something else for its absence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlglot import exp

from archipel import errors
from archipel.border import parsing
from archipel.schema import NODE_COLUMN, Column, Form
from coordinator.catalog import CatalogTable
from coordinator.plan import StageKind
from coordinator.planner import rewrite
from coordinator.planner.assembly import Assembly, Source
from coordinator.planner.bind import Bound, Describe, tables_of
from coordinator.planner.blocks import cut_out, inline_protected
from coordinator.planner.conditions import conjuncts, subqueries_in
from coordinator.planner.placement import Placement, place_rows
from coordinator.planner.positions import position_of
from coordinator.planner.ranges import sites_left

MAX_BYTES = 2_000_000_000
"""Estimated bytes that may be brought together: more than the coordinator's engine holds beside its work."""

_HINT = "Filter or aggregate its tables first, each in a WITH part, or ask one node at a time (WHERE _node = '...')."


def answer_at_coordinator(bound: Bound, describe: Describe, assembly: Assembly) -> exp.Query:
    """Return the query over exchanges that bring the rows of its tables; adds a node stage for each table.

    Rows of persons stay: in the place of a protected table's block stand the groups that its nodes release.

    Raises:
        ArchipelError: a holder does not let the rows go, they are too many, or the query has no single meaning there.
    """
    tree = bound.written.copy()
    _check_order_of_rows(tree)
    inline_protected(tree, assembly.catalog)
    tables = tables_of(tree, assembly.catalog)
    _check_hidden(tree, tables)
    reader = _Reader(tree, bound, assembly)
    for table, entry in tables:
        if entry.table.policy.protected and table.root() is tree:
            cut_out(table, entry, describe, assembly)
    tables = [(table, entry) for table, entry in tables if table.root() is tree]
    sources = [reader.bring(table, entry) for table, entry in tables]
    for (table, _), source in zip(tables, sources, strict=True):
        table.replace(_in_its_place(table, source))
    _check_read(tree, bound, assembly)
    return tree


def _check_order_of_rows(tree: exp.Query) -> None:
    """Refuse what depends on an order of rows that no table has."""
    for join in tree.find_all(exp.Join):
        if str(join.args.get("method") or "").upper() != "POSITIONAL":
            continue
        select = join.find_ancestor(exp.Select)
        sides = rewrite.sources_of(select) if isinstance(select, exp.Select) else [join.this]
        if not all(_is_ordered(side) for side in sides):
            raise errors.error(
                errors.SQL_UNSUPPORTED,
                "A POSITIONAL JOIN pairs rows by an order that tables do not have.",
                hint="Give each side an order: (SELECT ... ORDER BY ...) a POSITIONAL JOIN (... ORDER BY ...) b.",
                position=position_of(join.this),
            )


def _is_ordered(side: exp.Expr) -> bool:
    if isinstance(side, exp.Subquery) and isinstance(side.this, exp.Query):
        return side.this.args.get("order") is not None
    return not isinstance(side, exp.Table) or isinstance(side.this, exp.GenerateSeries)


def _check_hidden(tree: exp.Query, tables: list[tuple[exp.Table, CatalogTable]]) -> None:
    parts = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    for table, _ in tables:
        if table.name.lower() in parts:
            raise errors.error(
                errors.SQL_UNSUPPORTED,
                f"A WITH part has the name of the table '{table.name}', which is read, too.",
                hint="Give the part another name.",
                position=position_of(table),
            )


def check_size(assembly: Assembly) -> None:
    """Make sure that a plan does not bring more rows together at the coordinator than its engine takes.

    Raises:
        ArchipelError: SQL_TOO_LARGE.
    """
    nodes = {stage.stage_id for stage in assembly.stages if stage.kind is StageKind.NODE}
    brought = [e for e in assembly.exchanges if e.form is Form.ROWS and e.source in nodes and e.target not in nodes]
    rows, size = sum(e.estimated_rows for e in brought), sum(e.estimated_bytes for e in brought)
    if size > MAX_BYTES:
        raise errors.error(
            errors.SQL_TOO_LARGE,
            f"This would bring about {rows:,} rows and {size:,} bytes to the coordinator, "
            f"which takes {MAX_BYTES:,} bytes at most.",
            hint=_HINT,
        )


def _check_read(tree: exp.Query, bound: Bound, assembly: Assembly) -> None:
    """Make sure that the query, read and written again, is to the engine what it was."""
    found = [c.type for c in assembly.describe_own(tree)]
    if found != [c.type for c in bound.columns]:
        raise errors.error(
            errors.SQL_UNSUPPORTED,
            "Something in this query is read otherwise here than by the engine.",
            hint="Cast constants to the type that is meant, and write rare forms otherwise.",
        )


def _in_its_place(table: exp.Table, source: Source) -> exp.Subquery:
    """Return what a source delivers, as a derived table with the alias, joins and PIVOT of the table it replaces."""
    columns = [rewrite.aliased(rewrite.column(source.name, c.name), c.name) for c in source.columns]
    rows = exp.select(*columns).from_(rewrite.table(source.name))
    alias = table.args.get("alias")
    if alias is None or alias.this is None:
        alias = exp.TableAlias(this=exp.to_identifier(table.name, quoted=True))
    derived = exp.Subquery(this=rows, alias=alias.copy())
    for key in ("joins", "pivots", "laterals"):
        if table.args.get(key):
            derived.set(key, table.args[key])  # moved, not copied: there may be tables in them
    return derived


@dataclass(slots=True)
class _Reader:
    """Finds out what of each table the query needs, and has it brought."""

    tree: exp.Query
    bound: Bound
    assembly: Assembly
    _plain: set[str] = field(default_factory=set)
    """Names that stand in the query without a source before them."""
    _qualified: set[tuple[str, str]] = field(default_factory=set)
    """Names that stand there after the alias of a source."""

    def __post_init__(self) -> None:
        for name in self.tree.find_all(exp.Identifier):
            parent = name.parent
            folded = name.name.lower()
            if isinstance(parent, exp.Column) and name is parent.this and parent.args.get("table"):
                self._qualified.add((parent.table.lower(), folded))
            else:
                self._plain.add(folded)

    def bring(self, table: exp.Table, entry: CatalogTable) -> Source:
        """Add the stage that sends what the query needs of a table."""
        name = entry.table.name.lower()  # not the alias: tables that are read twice alike cross once
        names_node = ("", NODE_COLUMN) in self._all_names()
        columns = [*entry.table.columns, *([Column(NODE_COLUMN, "VARCHAR")] if names_node else [])]
        wanted = [c for c in columns if self._is_needed(c.name.lower(), table, entry)]
        self._check_permit(table, entry, wanted)
        outputs = [rewrite.aliased(self._placed(table, name, c.name), c.name) for c in wanted]
        stage = exp.select(*(outputs or [self._one()]))
        stage.set("from_", exp.From(this=rewrite.table(name)))
        plain = stage.copy()
        kept = [c for c in self._pushable(table, entry) if _runs_at_nodes(c)]
        if kept:
            stage.set("where", exp.Where(this=exp.and_(*kept)))
        try:
            return self._stage(stage, table)
        except errors.ArchipelError as problem:
            if not kept or not problem.code.startswith("SQL_"):
                raise
            return self._stage(plain, table)  # the engine reads the condition otherwise when it stands alone

    def _stage(self, stage: exp.Select, table: exp.Table) -> Source:
        placed = place_rows(stage, self.assembly.catalog)
        sites = sites_left(stage, self._sites(placed, table), self.assembly.catalog)
        return self.assembly.node_stage(stage, sites, {})

    def _sites(self, placed: Placement, table: exp.Table) -> tuple[str, ...]:
        nodes = placed.nodes
        if not nodes:
            raise errors.error(
                errors.NODE_UNAVAILABLE,
                "No node that holds this table can be asked.",
                position=position_of(table),
            )
        if not placed.replicated:
            return nodes
        attached = [n for n in nodes if n in self.assembly.catalog.attached]
        return ((attached or list(nodes))[0],)

    def _all_names(self) -> set[tuple[str, str]]:
        return {("", name) for name in self._plain} | {("", name) for _, name in self._qualified}

    def _one(self) -> exp.Alias:
        """Return an output for a table of which rows alone are needed, under a name that the query does not know."""
        return rewrite.aliased(exp.Literal.number(1), f"{self.assembly.prefix}0")

    def _placed(self, table: exp.Table, source: str, name: str) -> exp.Column:
        """Return a column of a source with the place where the researcher may mean it."""
        made = rewrite.column(source, name)
        for found in self.tree.find_all(exp.Column):
            if found.name.lower() == name.lower() and found.table.lower() in {"", table.alias_or_name.lower()}:
                made.this.meta.update(found.this.meta)
                break
        return made

    def _is_needed(self, name: str, table: exp.Table, entry: CatalogTable) -> bool:
        if name in self._plain or (table.alias_or_name.lower(), name) in self._qualified:
            return True
        return name != NODE_COLUMN and self._needs_all(table, entry)

    def _needs_all(self, table: exp.Table, entry: CatalogTable) -> bool:
        """Whether something in the query stands for all columns of a table."""
        alias = table.args.get("alias")
        if alias is not None and alias.args.get("columns"):
            return True  # they are renamed in their order
        if _is_pivoted(table):
            return True  # what is named nowhere are the groups
        known = {c.name.lower() for c in entry.table.columns}
        if table.alias_or_name.lower() in self._plain_values() - known:
            return True  # the row as a value
        select = table.find_ancestor(exp.Select)
        if select is None:
            return False
        return any(_is_star_of(star, table) for star in _stars(select)) or _is_natural(select)

    def _plain_values(self) -> set[str]:
        return {c.name.lower() for c in self.tree.find_all(exp.Column) if not c.args.get("table")}

    def _check_permit(self, table: exp.Table, entry: CatalogTable, wanted: list[Column]) -> None:
        permit = self.assembly.permit
        refused = [
            c for c in wanted if c.name.lower() != NODE_COLUMN and not permit.allows_column(entry.table.name, c.name)
        ]
        if not refused:
            return
        if self.bound.tree is not None:
            # Every column that the query means was found, and is permitted: the name is another table's here.
            wanted[:] = [c for c in wanted if c not in refused]
            return
        name = refused[0].name
        raise errors.error(
            errors.PERMIT_SCOPE,
            f"The permit does not name column '{name}' of table '{entry.table.name}'.",
            hint="If another table's column is meant, write that table's alias before it; and name columns, not '*'.",
            position=position_of(self._placed(table, "", name)) or position_of(table),
        )

    def _pushable(self, table: exp.Table, entry: CatalogTable) -> list[exp.Expr]:
        """Return what of the conditions around a table may be applied to it alone, before anything else."""
        select = table.find_ancestor(exp.Select)
        if not isinstance(select, exp.Select) or not any(s is table for s in rewrite.sources_of(select)):
            return []
        joins = rewrite.joins_of(select)
        if any(j.args.get(k) for j in joins for k in ("side", "method")) or table.args.get("pivots"):
            return []
        if any(str(j.args.get("kind") or "").upper() in {"SEMI", "ANTI"} for j in joins):
            return []
        conditions = conjuncts(select.args.get("where"))
        conditions += [c for j in joins if j.args.get("on") is not None for c in conjuncts(j.args["on"])]
        alone = len(rewrite.sources_of(select)) == 1
        alias = table.alias_or_name.lower()
        known = {c.name.lower() for c in entry.table.columns} | {NODE_COLUMN}
        found = []
        for condition in conditions:
            used = list(condition.find_all(exp.Column))
            if subqueries_in(condition) or not used or not all(_is_of(c, alias, known, alone=alone) for c in used):
                continue
            made = condition.copy()
            for column in list(made.find_all(exp.Column)):
                column.replace(rewrite.column(entry.table.name.lower(), column.name.lower()))
            found.append(made)
        return found


def _is_pivoted(table: exp.Table) -> bool:
    node: exp.Expr | None = table
    while node is not None and not isinstance(node, exp.Select):
        if isinstance(node, exp.Pivot) or node.args.get("pivots"):
            return True
        node = node.parent
    return False


def _is_of(column: exp.Column, alias: str, known: set[str], *, alone: bool) -> bool:
    """Whether a column is surely one of the table of that alias."""
    if column.args.get("db") or isinstance(column.this, exp.Star) or column.name.lower() not in known:
        return False
    return column.table.lower() == alias if column.args.get("table") else alone


def _runs_at_nodes(condition: exp.Expr) -> bool:
    """Whether a condition may be asked of the nodes."""
    try:
        parsing.check_syntax(condition)
    except errors.ArchipelError:
        return False
    return condition.find(exp.Window, exp.AggFunc) is None


def _stars(select: exp.Select) -> Iterator[exp.Expr]:
    for star in select.find_all(exp.Star, exp.Columns):
        if isinstance(star.parent, exp.Count) or star.find_ancestor(exp.Select) is not select:
            continue
        yield star


def _is_star_of(star: exp.Expr, table: exp.Table) -> bool:
    column = star.parent
    if isinstance(column, exp.Column) and column.args.get("table"):
        return column.table.lower() == table.alias_or_name.lower()
    return True


def _is_natural(select: exp.Select) -> bool:
    return any(str(join.args.get("method") or "").upper() == "NATURAL" for join in select.find_all(exp.Join))
