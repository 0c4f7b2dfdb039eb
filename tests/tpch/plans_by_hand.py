"""Plans of TPC-H's queries written down without the planner: every source is shipped to one site, the block runs there.

What a query reads is taken from its text by the names of its columns, which in TPC-H are of one table each. Nothing
here asks the planner, the border check or the check of plans: it is what these are held against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp

from archipel.schema import Form
from benchmarks.tpch_placements import HOLDERS
from coordinator.plan import COORDINATOR, Exchange, OutputColumn, Plan, Stage, StageKind

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "customer": {
        "c_custkey": "BIGINT",
        "c_name": "VARCHAR",
        "c_address": "VARCHAR",
        "c_nationkey": "BIGINT",
        "c_phone": "VARCHAR",
        "c_acctbal": "DECIMAL(15,2)",
        "c_mktsegment": "VARCHAR",
        "c_comment": "VARCHAR",
    },
    "lineitem": {
        "l_orderkey": "BIGINT",
        "l_partkey": "BIGINT",
        "l_suppkey": "BIGINT",
        "l_linenumber": "INTEGER",
        "l_quantity": "DECIMAL(15,2)",
        "l_extendedprice": "DECIMAL(15,2)",
        "l_discount": "DECIMAL(15,2)",
        "l_tax": "DECIMAL(15,2)",
        "l_returnflag": "VARCHAR",
        "l_linestatus": "VARCHAR",
        "l_shipdate": "DATE",
        "l_commitdate": "DATE",
        "l_receiptdate": "DATE",
        "l_shipinstruct": "VARCHAR",
        "l_shipmode": "VARCHAR",
        "l_comment": "VARCHAR",
    },
    "nation": {"n_nationkey": "BIGINT", "n_name": "VARCHAR", "n_regionkey": "BIGINT", "n_comment": "VARCHAR"},
    "orders": {
        "o_orderkey": "BIGINT",
        "o_custkey": "BIGINT",
        "o_orderstatus": "VARCHAR",
        "o_totalprice": "DECIMAL(15,2)",
        "o_orderdate": "DATE",
        "o_orderpriority": "VARCHAR",
        "o_clerk": "VARCHAR",
        "o_shippriority": "INTEGER",
        "o_comment": "VARCHAR",
    },
    "part": {
        "p_partkey": "BIGINT",
        "p_name": "VARCHAR",
        "p_mfgr": "VARCHAR",
        "p_brand": "VARCHAR",
        "p_type": "VARCHAR",
        "p_size": "INTEGER",
        "p_container": "VARCHAR",
        "p_retailprice": "DECIMAL(15,2)",
        "p_comment": "VARCHAR",
    },
    "partsupp": {
        "ps_partkey": "BIGINT",
        "ps_suppkey": "BIGINT",
        "ps_availqty": "INTEGER",
        "ps_supplycost": "DECIMAL(15,2)",
        "ps_comment": "VARCHAR",
    },
    "region": {"r_regionkey": "BIGINT", "r_name": "VARCHAR", "r_comment": "VARCHAR"},
    "supplier": {
        "s_suppkey": "BIGINT",
        "s_name": "VARCHAR",
        "s_address": "VARCHAR",
        "s_nationkey": "BIGINT",
        "s_phone": "VARCHAR",
        "s_acctbal": "DECIMAL(15,2)",
        "s_comment": "VARCHAR",
    },
}
HOME: Mapping[str, str] = {table: str(node) for table, node in HOLDERS.tables.items()}
SITES = (*HOLDERS.nodes, COORDINATOR)

_SCAN = "scan"

Base = tuple[str, str]
"""Table and column."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One place of a query that reads a table: the columns that it needs, and what is said of its rows alone.

    ``conjuncts`` are those of the WHERE beside it; empty where an outer join may have put NULL in place of its rows.
    """

    table: str
    alias: str
    columns: frozenset[str]
    conjuncts: tuple[exp.Expr, ...]

    @property
    def said(self) -> frozenset[str]:
        """The conjuncts as text, without the alias; an OR is in brackets."""
        plain = [c.transform(_without_source) for c in self.conjuncts]
        return frozenset((exp.paren(c) if isinstance(c, exp.Or) else c).sql("duckdb") for c in plain)


def _without_source(node: exp.Expr) -> exp.Expr:
    return exp.column(node.name) if isinstance(node, exp.Column) else node


@dataclass(frozen=True, slots=True)
class Read:
    """What a query reads and shows. ``keys`` and ``shown`` are base columns, those that are only counted left out."""

    tree: exp.Select
    scans: tuple[Scan, ...]
    aggregates: bool
    keys: frozenset[Base]
    shown: frozenset[Base]

    @property
    def sql(self) -> str:
        """The query, in whose EXISTS (SELECT * ...) the star, which to a permit means every column, is a constant."""
        return self.tree.sql("duckdb")

    @property
    def tables(self) -> frozenset[str]:
        """The tables that it reads."""
        return frozenset(scan.table for scan in self.scans)


def read(sql: str) -> Read:
    """Return what a query reads."""
    tree = sqlglot.parse_one(sql, read="duckdb")
    assert isinstance(tree, exp.Select)
    for star in list(tree.find_all(exp.Star)):
        if isinstance(star.parent, exp.Select):  # of EXISTS: how many columns there are does not matter
            star.replace(exp.Literal.number(1))
    places = [(select, table) for select in tree.find_all(exp.Select) for table in scans_in(select)]
    for number, (_, table) in enumerate(places):
        table.meta[_SCAN] = number
    owners = [(column, _owner(column)) for column in tree.find_all(exp.Column)]
    scans = []
    for select, table in places:
        columns = frozenset(column.name for column, owner in owners if owner is table)
        own = [c for c in conjuncts_of(select) if _is_alone(c, table)] if not _may_be_missing(select, table) else []
        scans.append(Scan(table.name, table.alias_or_name, columns, tuple(c.copy() for c in own)))
    group = tree.args.get("group")
    keys = list(group.expressions) if group is not None else []
    return Read(
        tree,
        tuple(scans),
        aggregates=group is not None or any(p.find(exp.AggFunc) for p in tree.expressions),
        keys=frozenset().union(*(_bases(key, tree) for key in keys)),
        shown=frozenset().union(*(_bases(p, tree) for p in tree.expressions)),
    )


def saying(sql: str, condition_of: Callable[[str], str]) -> str:
    """Return a query that says a condition more beside each scan, that of its table; none where it is empty."""
    tree = sqlglot.parse_one(sql, read="duckdb")
    for select in list(tree.find_all(exp.Select)):
        for table in scans_in(select):
            text = condition_of(table.name)
            if text:
                added = sqlglot.parse_one(text, read="duckdb")
                for column in added.find_all(exp.Column):
                    column.set("table", exp.to_identifier(table.alias_or_name))
                select.where(added, copy=False)
    return tree.sql("duckdb")


def scans_in(select: exp.Select) -> Iterator[exp.Table]:
    """Yield the tables of TPC-H that stand in a block's own FROM."""
    for source in (select.args["from_"], *(select.args.get("joins") or [])):
        if isinstance(source.this, exp.Table) and source.this.name in COLUMNS:
            yield source.this


def conjuncts_of(select: exp.Select) -> list[exp.Expr]:
    """Return the parts of a block's WHERE that must all hold."""
    left = [select.args["where"].this] if select.args.get("where") else []
    found = []
    while left:
        part = left.pop(0).unnest()
        if isinstance(part, exp.And):
            left = [part.this, part.expression, *left]
        else:
            found.append(part)
    return found


def _may_be_missing(select: exp.Select, table: exp.Table) -> bool:
    join = table.parent
    return isinstance(join, exp.Join) and bool(join.side)


def _owner(column: exp.Column) -> exp.Table | None:
    """Return the scan that a column is of: the nearest around it that has its name."""
    select = column.find_ancestor(exp.Select)
    while select is not None:
        for table in scans_in(select):
            if column.table in {"", table.alias_or_name} and column.name in COLUMNS[table.name]:
                return table
        select = select.find_ancestor(exp.Select)
    return None


def _is_alone(condition: exp.Expr, table: exp.Table) -> bool:
    if condition.find(exp.Select):
        return False
    columns = list(condition.find_all(exp.Column))
    return bool(columns) and all(_owner(column) is table for column in columns)


def _bases(part: exp.Expr, select: exp.Select) -> frozenset[Base]:
    """Return the base columns of an expression of a block, through derived tables; what is counted is not shown."""
    found: set[Base] = set()
    for node in part.walk(prune=lambda n: isinstance(n, exp.Count) and isinstance(n.this, exp.Distinct)):
        if not isinstance(node, exp.Column) or isinstance(node.find_ancestor(exp.Distinct), exp.Distinct):
            continue
        owner = _owner(node)
        found |= {(owner.name, node.name)} if owner is not None else _derived(node.name, select)
    return frozenset(found)


def _derived(name: str, select: exp.Select) -> frozenset[Base]:
    common = select.args.get("with_")
    inner = [*select.find_all(exp.Subquery), *(common.expressions if common is not None else [])]
    for holder in inner:
        if not isinstance(holder.parent, exp.From | exp.Join | exp.With):
            continue
        names = [c.name for c in holder.args["alias"].columns] or [p.alias_or_name for p in holder.this.expressions]
        if name in names:
            return _bases(holder.this.expressions[names.index(name)], holder.this)
    raise AssertionError(f"{name} is of no table")


# Plans


@dataclass(slots=True)
class _Building:
    query: Read
    site: str
    persons: Mapping[str, str]
    stages: list[Stage] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)

    def exchange(self, source: str, target: str) -> str:
        name = f"x{len(self.exchanges) + 1}"
        self.exchanges.append(Exchange(name, source, target, Form.ROWS, "", 1, 1))
        return name

    def shipped(self, tree: exp.Expr, target: str) -> tuple[str, ...]:
        """Put what is shipped in the place of the scans that are not at the site; return the names of the inputs."""
        names = []
        for table in list(tree.find_all(exp.Table)):
            if _SCAN not in table.meta:
                continue
            scan = self.query.scans[table.meta[_SCAN]]
            if HOME[scan.table] == self.site:
                continue
            name = self.exchange(self._shipment(scan), target)
            alias = exp.TableAlias(this=exp.to_identifier(scan.alias, quoted=True))
            table.set("this", exp.to_identifier(name, quoted=True))
            table.set("alias", alias)
            names.append(name)
        return tuple(names)

    def _shipment(self, scan: Scan) -> str:
        person = {self.persons[scan.table]} if scan.table in self.persons else set()
        columns = sorted(scan.columns | person)
        tree = exp.select(*(exp.column(c, scan.alias, quoted=True).as_(c, quoted=True) for c in columns))
        tree = tree.from_(exp.to_table(scan.table).as_(scan.alias, table=True))
        if scan.conjuncts:
            tree = tree.where(*(c.copy() for c in scan.conjuncts))
        given = tuple(OutputColumn(c, COLUMNS[scan.table][c]) for c in columns)
        return self.stage(StageKind.NODE, HOME[scan.table], tree, given, ())

    def stage(
        self, kind: StageKind, site: str, tree: exp.Expr, columns: tuple[OutputColumn, ...], inputs: tuple[str, ...]
    ) -> str:
        stage_id = f"s{len(self.stages) + 1}" if kind is StageKind.NODE else "last"
        self.stages.append(Stage(stage_id, kind, (site,), tree.sql("duckdb"), columns, inputs))
        return stage_id

    def block(self, tree: exp.Select) -> str:
        """Run a block at the site; return the exchange by which its result reaches the coordinator."""
        inputs = self.shipped(tree, "?")
        names = tuple(OutputColumn(p.alias_or_name, "") for p in tree.expressions)
        stage_id = self.stage(StageKind.NODE, self.site, tree, names, inputs)
        self.exchanges = [
            Exchange(e.exchange_id, e.source, stage_id, e.form, "", 1, 1) if e.target == "?" else e
            for e in self.exchanges
        ]
        return self.exchange(stage_id, "last")


def plan_at(query: Read, site: str, persons: Mapping[str, str]) -> Plan:
    """Return the plan that brings everything to ``site`` and runs the query there. No exchange has a certificate yet.

    ``persons`` are the person columns of protected tables, which travel with their rows. What stands over a grouping
    (HAVING, ORDER BY, LIMIT, expressions over aggregates) is the coordinator's.
    """
    building = _Building(query, site, persons)
    tree = query.tree.copy()
    if site == COORDINATOR:
        inputs = building.shipped(tree, "last")
    elif query.aggregates:
        read_by: list[str] = []
        tree = _finish(tree, building.block, read_by)
        inputs = tuple(read_by)
    else:
        order = {key: tree.args.get(key) for key in ("order", "limit")}
        for key in order:
            tree.set(key, None)
        name = building.block(tree)
        tree = exp.select(*(exp.column(p.alias_or_name, quoted=True) for p in tree.expressions)).from_(name)
        for key, clause in order.items():
            tree.set(key, clause)
        inputs = (name,)
    building.stage(StageKind.FINISH, COORDINATOR, tree, (), inputs)
    return Plan(query.sql, tuple(building.stages), tuple(building.exchanges), "last", ())


def _finish(select: exp.Select, run: Callable[[exp.Select], str], read_by: list[str]) -> exp.Select:
    """Have an aggregating block run without what stands over its groups; return the latter, over the exchange."""
    group = select.args.get("group")
    keys = list(group.expressions) if group is not None else []
    above = [*select.expressions, *(select.args[k] for k in ("having", "order") if select.args.get(k))]
    subqueries = [s for part in above for s in part.find_all(exp.Subquery)]
    for subquery in subqueries:
        subquery.set("this", _finish(subquery.this.copy(), run, read_by))
    aggregates = list(
        dict.fromkeys(a for part in above for a in part.find_all(exp.AggFunc) if not a.find_ancestor(exp.Subquery))
    )
    named = {key: f"g{i}" for i, key in enumerate(keys)} | {a: f"a{i}" for i, a in enumerate(aggregates)}

    def over(node: exp.Expr) -> exp.Expr:
        return exp.column(named[node], quoted=True) if node in named else node

    block = select.copy()
    for clause in ("having", "order", "limit"):
        block.set(clause, None)
    block.set("expressions", [exp.alias_(part.copy(), name, quoted=True) for part, name in named.items()])
    name = run(block)
    read_by.append(name)
    outputs = [
        exp.alias_(p.unalias().transform(over), p.alias_or_name or f"c{i}", quoted=True)
        for i, p in enumerate(select.expressions)
    ]
    made = exp.select(*outputs).from_(exp.to_table(name))
    if select.args.get("having"):
        made = made.where(select.args["having"].this.transform(over))
    for clause in ("order", "limit"):
        if select.args.get(clause):
            made.set(clause, select.args[clause].transform(over))
    return made
