"""The certificate of an exchange: what it takes, in which form, to whom, and by whose rule; and the check of it.

The planner writes certificates; nobody believes them. The check reads the statement itself, in its own way and without
the border check's code, and says what the certificate does not tell or no policy allows. It is small on purpose: where
it cannot follow a statement, it takes it for the worst. The border check, which decides, comes on top of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from archipel import aggregates as aggregates_registry
from archipel.permit import Permit
from archipel.schema import COORDINATOR, MIN_PERSONS_FLOOR, NODE_COLUMN, Form, Role, Table

DIALECT = "duckdb"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What one stage sends to ``destinations``, the coordinator or nodes by name.

    ``columns`` are all that the statement reads, as ``table.column`` in lower case, sorted; so are ``functions``.
    ``min_persons`` is 0 where no table is protected. ``rules`` are the policies that allow it: for each table, at each
    site, the form that goes to each destination, as ``site: table to destination as form``, sorted.
    """

    sql_sha256: str
    destinations: tuple[str, ...]
    form: Form
    columns: tuple[str, ...]
    functions: tuple[str, ...]
    min_persons: int
    linkage: bool
    rules: tuple[str, ...]
    part_column: str = ""
    """The output that says to which of the destinations a row goes; empty where each of them gets every row."""


class Rejected(Exception):
    """A certificate does not hold; the text says why and holds no value."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a statement reads and gives, as the check understands it."""

    shape: Form
    tables: frozenset[str]
    columns: frozenset[tuple[str, str]]
    functions: frozenset[str]
    shows_values: bool
    """Whether an outermost aggregate shows the value of some row: extremes and the like."""
    group_keys: frozenset[tuple[str, str]]
    """Base columns from which the keys of the outermost grouping are computed."""
    uncut_keys: frozenset[tuple[str, str]]
    """Those of them that a key shows as they are, not cut to a period, a beginning or a multiple."""
    choices: frozenset[str]
    """Clauses of the outermost query that choose among what it gives, or order it."""
    outputs: Mapping[str, frozenset[tuple[str, str]]]
    """Base columns from which each output is computed, those within ``count(DISTINCT ...)`` left out."""
    shown: frozenset[tuple[str, str]]
    """Base columns whose values outputs or group keys show; what is only counted or tested for is not shown."""


def digest(sql: str) -> str:
    """Return the SHA-256 of a statement's text, hex."""
    return hashlib.sha256(sql.encode()).hexdigest()


def rule(site: str, table: str, destination: str, form: Form) -> str:
    """Return the words of one rule.

    >>> rule("lille", "stays", "@coordinator", Form.AGGREGATE)
    'lille: stays to @coordinator as aggregate'
    """
    return f"{site}: {table.lower()} to {destination} as {form.name.lower()}"


def issue(
    sql: str,
    sites: Mapping[str, Mapping[str, Table]],
    destinations: tuple[str, ...],
    permit: Permit,
    seen: Reading,
) -> Certificate:
    """Return the certificate of a statement that runs at ``sites``: by site, the tables that it may name there.

    ``seen`` is what ``read`` returns for the statement. The form is the strongest that all policies allow, as releases
    are called.
    """
    at = [(site, table) for site, tables in sites.items() for name, table in tables.items() if name in seen.tables]
    used = [table for _, table in at]
    form = min((table.policy.form_to(d) for site, table in at for d in destinations if d != site), default=Form.ROWS)
    protected = [table for table in used if table.policy.protected]
    return Certificate(
        sql_sha256=digest(sql),
        destinations=destinations,
        form=form,
        columns=tuple(sorted(f"{t}.{c}" for t, c in seen.columns)),
        functions=tuple(sorted(seen.functions)),
        min_persons=group_size(protected, permit),
        linkage=bool(protected) and destinations != (COORDINATOR,),
        rules=tuple(
            sorted(
                rule(site, name, destination, form)
                for site, tables in sites.items()
                for name in tables
                if name in seen.tables
                for destination in destinations
            )
        ),
    )


def check(
    certificate: Certificate,
    sql: str,
    site: str,
    tables: Mapping[str, Table],
    permit: Permit,
    *,
    received: frozenset[str] = frozenset(),
    inputs: frozenset[str] = frozenset(),
) -> Reading:
    """Make sure that a certificate is true of a statement at one site, and that all it says is allowed there.

    ``tables`` by lower-case name: the site's own, and those that it ``received`` from other nodes, for which their
    senders asked the permit. ``inputs`` came from the coordinator.

    Raises:
        Rejected: why not.
    """
    if certificate.sql_sha256 != digest(sql):
        raise Rejected("the certificate is for another statement")
    if not certificate.destinations:
        raise Rejected("the certificate names no destination")
    seen = read(sql, tables, inputs)
    if certificate.columns != tuple(sorted(f"{t}.{c}" for t, c in seen.columns)):
        raise Rejected("the statement reads other columns than its certificate says")
    if certificate.functions != tuple(sorted(seen.functions)):
        raise Rejected("the statement calls other functions than its certificate says")
    used = [tables[name] for name in sorted(seen.tables)]
    protected = [table for table in used if table.policy.protected]
    size = group_size(protected, permit)
    # Another site's policy may ask for more persons: then more is said, and each site holds its own.
    if certificate.min_persons < size or (certificate.min_persons and not size):
        raise Rejected("the certificate says another group size than policies and permit")
    ours = {rule(site, t, d, certificate.form) for t in seen.tables for d in certificate.destinations}
    if ours != {r for r in certificate.rules if r.startswith(f"{site}: ")}:
        raise Rejected("the certificate names other rules than the statement needs")
    if seen.shape > certificate.form:
        raise Rejected(f"the statement gives {seen.shape.name.lower()}, its certificate says less")
    to_nodes = COORDINATOR not in certificate.destinations
    if (protected or certificate.form < Form.KEYS) and seen.choices - (_OF_SETS if to_nodes else frozenset()):
        raise Rejected("a choice is made among groups or rows that are not released")
    limited = {t.name.lower(): t.policy.rows_where for t in used if t.policy.rows_where}
    if limited:
        _check_conditions(sql, limited, tables, inputs)
    for table in used:
        _check_table(certificate, table, None if table.name.lower() in received else permit, site)
    if certificate.linkage != (bool(protected) and certificate.destinations != (COORDINATOR,)):
        raise Rejected("the certificate says linkage where there is none, or none where there is")
    if protected:
        _check_protected(certificate, seen, {name: tables[name] for name in seen.tables}, permit)
    return seen


def group_size(protected: Sequence[Table], permit: Permit) -> int:
    """Return how many persons policies and permit demand of a group; 0 where no table is protected."""
    if not protected:
        return 0
    return max(MIN_PERSONS_FLOOR, permit.min_persons, *(table.policy.min_persons for table in protected))


def _check_table(certificate: Certificate, table: Table, permit: Permit | None, site: str) -> None:
    for destination in certificate.destinations:
        # What a node sends to itself does not leave its holder.
        if destination != site and table.policy.form_to(destination) < certificate.form:
            raise Rejected(f"policy lets less of {table.name} go to {destination}")
    for named in certificate.columns:
        name, _, column = named.partition(".")
        if name != table.name.lower() or column == NODE_COLUMN:
            continue
        if table.column(column) is None:
            raise Rejected(f"{table.name} has no column {column}")
        is_person = column == (table.person_column or "").lower()
        if table.policy.role_of(column) is Role.HIDDEN and not (is_person and table.policy.protected):
            raise Rejected(f"policy hides {table.name}.{column}")
        if permit is not None and not permit.allows_column(table.name, column):
            raise Rejected(f"the permit does not name {table.name}.{column}")


_INNER = frozenset({"", "INNER", "CROSS"})
_LEFT = frozenset({"LEFT", "LEFT OUTER"})


def _check_conditions(
    sql: str, limited: Mapping[str, str], tables: Mapping[str, Table], inputs: frozenset[str]
) -> None:
    """Make sure that every scan of a table with a condition stands in a block whose WHERE says it.

    Where LEFT joins are, too, the side that may be missing does not count; where any others are, nothing does.
    """
    tree = sqlglot.parse_one(sql, read=DIALECT)
    reader = _Reader(tables, inputs, _is_distinct_count)
    for scan in tree.find_all(exp.Table):
        wanted = limited.get(scan.name.lower())
        if not wanted:
            continue
        select = scan.find_ancestor(exp.Select)
        plain = select is not None and scan.parent is not None and scan.parent.parent is select
        if select is None or not plain or any(scan.args.get(key) for key in ("pivots", "sample", "joins")):
            raise Rejected(f"rows of {scan.name} take part that policy keeps")
        joins = [(j, f"{j.method} {j.side} {j.kind}".upper().strip()) for j in select.args.get("joins") or []]
        known = _INNER | _LEFT
        if any(words not in (_INNER if j is scan.parent else known) for j, words in joins):
            raise Rejected(f"rows of {scan.name} take part that policy keeps")
        where = select.args.get("where")
        said = {_of_scan(c, scan, select, reader) for c in (_flat(where.this) if where is not None else [])}
        if not {_bare_names(part).sql(DIALECT) for part in _flat(_parsed(wanted))} <= said:
            raise Rejected(f"rows of {scan.name} take part that policy keeps")


def _parsed(condition: str) -> exp.Expr:
    try:
        return sqlglot.parse_one(condition, read=DIALECT)
    except (SqlglotError, RecursionError):
        raise Rejected("a policy's condition cannot be read") from None


def _flat(condition: exp.Expr) -> list[exp.Expr]:
    condition = condition.unnest()
    if not isinstance(condition, exp.And):
        return [condition]
    return [part for side in condition.flatten() for part in _flat(side)]


def _of_scan(condition: exp.Expr, scan: exp.Table, select: exp.Select, reader: _Reader) -> str:
    """Return the words of a condition that is of one scan alone; empty otherwise."""
    for column in condition.find_all(exp.Column):
        sources = [s for s in _sources(select) if not column.table or s.alias_or_name.lower() == column.table.lower()]
        owners = [s for s in sources if len(sources) == 1 or reader.has_column(s, column.name.lower())]
        if len(owners) != 1 or owners[0] is not scan:
            return ""
    return _bare_names(condition).sql(DIALECT)


def _bare_names(condition: exp.Expr) -> exp.Expr:
    def bare(node: exp.Expr) -> exp.Expr:
        return exp.column(node.name.lower(), quoted=True) if isinstance(node, exp.Column) else node

    return condition.copy().transform(bare)


def _check_protected(certificate: Certificate, seen: Reading, tables: Mapping[str, Table], permit: Permit) -> None:
    to_nodes = certificate.destinations != (COORDINATOR,)
    if to_nodes and (COORDINATOR in certificate.destinations or not (certificate.linkage and permit.linkage)):
        raise Rejected("protected data goes to a node without linkage")
    persons = {(name, (table.person_column or "").lower()) for name, table in tables.items() if table.policy.protected}
    if to_nodes:
        if not any(columns & persons for columns in seen.outputs.values()):
            raise Rejected("rows of a protected table go to a node without their person")
        return
    if seen.shape > Form.SKETCH or seen.shows_values:
        raise Rejected("single rows or values of a protected table go to the coordinator")
    if seen.shown & persons:
        raise Rejected("a person column is handed out")
    for name, column in seen.group_keys - persons:
        table = tables[name]
        role = table.policy.role_of(column)
        if not table.policy.protected or column == NODE_COLUMN or role in {Role.PUBLIC, Role.GROUP}:
            continue
        bins = {named.lower() for named, _ in table.policy.bins}
        if role is not Role.IDENTIFIER or column not in bins or (name, column) in seen.uncut_keys:
            raise Rejected(f"{table.name}.{column} is no group key")
    for name, column in seen.shown - persons:
        if tables[name].policy.protected and tables[name].policy.role_of(column) is Role.LINK:
            raise Rejected(f"{name}.{column} may only be joined on and counted")


# Reading a statement


def read(sql: str, known: Mapping[str, Table], inputs: frozenset[str] = frozenset()) -> Reading:
    """Return what a statement reads of the ``known`` tables, by lower-case name, and what it gives.

    ``inputs`` are names that do not count.

    Raises:
        Rejected: it is not one query, or names a table that is not among them.
    """
    try:
        statements = sqlglot.parse(sql, read=DIALECT)
    except (SqlglotError, RecursionError):
        raise Rejected("the statement cannot be read") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise Rejected("the statement is not one query")
    tree = statements[0]
    reader, shown = _Reader(known, inputs, _is_distinct_count), _Reader(known, inputs, _shows_no_value)
    uncut = _Reader(known, inputs, lambda node: isinstance(node, _CUTS))
    columns = frozenset(c for node in tree.find_all(exp.Column) for c in reader.bases(node))
    starred = frozenset(
        (base, "*")
        for star in tree.find_all(exp.Star)
        if not isinstance(star.parent, exp.Count)
        for base in reader.sources_around(star)
    )
    if starred:
        raise Rejected("the statement does not name the columns that it reads")
    first = tree
    while isinstance(first, exp.Subquery) and isinstance(first.this, exp.Query):
        first = first.this
    outputs: dict[str, frozenset[tuple[str, str]]] = {}
    for number, output in enumerate(first.selects):
        outputs[output.alias_or_name or f"_{number}"] = reader.values_of(output)
    return Reading(
        shape=_shape(first),
        shows_values=any(_leak(node) not in _OF_NO_VALUE for node in _aggregates(first)),
        tables=reader.tables(tree),
        columns=columns,
        functions=frozenset(_functions(tree)),
        group_keys=frozenset(b for key in _group_keys(first) for b in reader.values_of(key)),
        uncut_keys=frozenset(b for key in _group_keys(first) for b in uncut.values_of(key)),
        choices=frozenset(clause for clause in _CHOICES if first.args.get(clause)),
        outputs=outputs,
        shown=frozenset(b for part in (*first.selects, *_group_keys(first)) for b in shown.values_of(part)),
    )


_CHOICES = ("distinct", "having", "limit", "offset", "order", "qualify")
_OF_SETS = frozenset(("distinct", "having"))
"""Clauses of what may go to a node: a set of rows, grouped or not."""
_OF_NO_VALUE = frozenset(
    (aggregates_registry.Leak.NONE, aggregates_registry.Leak.SKETCH, aggregates_registry.Leak.HISTOGRAM)
)


def _shape(query: exp.Expr) -> Form:
    if not isinstance(query, exp.Select):
        return Form.ROWS
    if any(isinstance(node, exp.Window) for p in query.expressions for node in _own(p)):
        return Form.ROWS
    group = query.args.get("group")
    aggregates = _aggregates(query)
    plain = all(isinstance(p.unalias(), exp.Column) for p in query.expressions)
    if plain and (query.args.get("distinct") or group is not None):
        return Form.AGGREGATE if group is not None else Form.KEYS
    if any(_leak(node) is aggregates_registry.Leak.ROWS for node in aggregates):
        return Form.ROWS
    if group is None and any(_bare(p) for p in query.expressions):
        return Form.ROWS
    if any(_leak(node) is aggregates_registry.Leak.SKETCH for node in aggregates):
        return Form.SKETCH
    return Form.AGGREGATE if group is not None or aggregates else Form.ROWS


def _aggregates(query: exp.Expr) -> list[exp.Expr]:
    """Return the aggregates in the outputs of a query itself."""
    outputs = query.expressions if isinstance(query, exp.Select) else []
    return [node for p in outputs for node in _own(p) if _is_aggregate(node)]


def _is_aggregate(node: exp.Expr) -> bool:
    if isinstance(node, exp.AggFunc):
        return not isinstance(node, exp.Grouping | exp.GroupingId)
    return isinstance(node, exp.Anonymous) and node.name.lower() in aggregates_registry.REGISTRY


def _leak(node: exp.Expr) -> aggregates_registry.Leak:
    """Return what an aggregate shows of single values; one that is in no registry shows all."""
    known = aggregates_registry.REGISTRY.get(node.sql(DIALECT).partition("(")[0].lower())
    return known.leak if known is not None else aggregates_registry.Leak.ROWS


def _bare(output: exp.Expr) -> bool:
    """Whether an output shows a column outside of any aggregate, whose filter chooses rows and shows nothing."""
    return any(isinstance(node, exp.Column) for node in output.walk(prune=_is_whole_aggregate))


def _is_whole_aggregate(node: exp.Expr) -> bool:
    return _is_aggregate(node) or (isinstance(node, exp.Filter) and _is_aggregate(node.this))


def _own(tree: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the nodes of an expression without those of subqueries in it."""
    return tree.walk(prune=lambda node: isinstance(node, exp.Query) and node is not tree)


def _group_keys(query: exp.Expr) -> list[exp.Expr]:
    group = query.args.get("group") if isinstance(query, exp.Select) else None
    if group is None:
        return []
    keys: list[exp.Expr] = list(group.expressions)
    for part in ("rollup", "cube", "grouping_sets"):
        keys += [key for found in group.args.get(part) or [] for key in found.expressions]
    outputs = list(query.selects) if isinstance(query, exp.Select) else []
    # A number is the position of an output.
    return [
        outputs[int(key.name) - 1].unalias()
        if isinstance(key, exp.Literal) and key.name.isdigit() and 0 < int(key.name) <= len(outputs)
        else key
        for key in keys
    ]


_NO_CALLS = (exp.And, exp.Or, exp.Case, exp.If, exp.Cast, exp.TryCast, exp.Exists)


def _functions(tree: exp.Expr) -> Iterator[str]:
    for node in tree.find_all(exp.Func):
        if not isinstance(node, _NO_CALLS):
            yield _name_of(node)


def _name_of(node: exp.Expr) -> str:
    return node.name.lower() if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc) else node.key


class _Reader:
    """Follows columns of one statement to the tables that they come from."""

    def __init__(
        self, known: Mapping[str, Table], inputs: frozenset[str], leaves_out: Callable[[exp.Expr], bool]
    ) -> None:
        self._leaves_out = leaves_out
        self._tables = known
        self._inputs = inputs
        self._known: dict[int, frozenset[tuple[str, str]]] = {}

    def tables(self, tree: exp.Expr) -> frozenset[str]:
        """Return the tables that a statement names."""
        found = set()
        for table in tree.find_all(exp.Table):
            if not isinstance(table.this, exp.Identifier) or self._common(table) is not None:
                continue
            name = table.name.lower()
            if name in self._inputs:
                continue
            if name not in self._tables:
                raise Rejected(f"the statement names '{table.name}', which is not there")
            found.add(name)
        return frozenset(found)

    def values_of(self, part: exp.Expr) -> frozenset[tuple[str, str]]:
        """Return the base columns behind an expression: windows: of their function; subqueries: of outputs."""
        found: set[tuple[str, str]] = set()
        for node in part.walk(prune=self._is_pruned):
            if isinstance(node, exp.Column):
                found |= self.bases(node)
            elif isinstance(node, exp.Window):
                found |= self.values_of(node.this)
            elif isinstance(node, exp.Query):
                found |= frozenset().union(*(self.values_of(p) for q in _branches(node) for p in q.selects))
        return frozenset(found)

    def _is_pruned(self, node: exp.Expr) -> bool:
        return isinstance(node, exp.Exists | exp.Window | exp.Query) or self._leaves_out(node)

    def bases(self, column: exp.Column) -> frozenset[tuple[str, str]]:
        """Return the base columns behind a column."""
        key = id(column)
        if key not in self._known:
            self._known[key] = frozenset()  # a recursive query comes back to itself
            self._known[key] = self._bases(column)
        return self._known[key]

    def _bases(self, column: exp.Column) -> frozenset[tuple[str, str]]:
        select = column.find_ancestor(exp.Select, exp.SetOperation)
        name = column.name.lower()
        while select is not None:
            sources = list(_sources(select)) if isinstance(select, exp.Select) else []
            named = [s for s in sources if not column.table or s.alias_or_name.lower() == column.table.lower()]
            found = [bases for s in named if (bases := self._in_source(s, name, bool(column.table))) is not None]
            if found:
                return frozenset().union(*found)
            if isinstance(select, exp.Select) and not column.table:
                output = next((p for p in select.selects if p.alias.lower() == name and column not in p.walk()), None)
                if output is not None:
                    return self.values_of(output)
            select = select.find_ancestor(exp.Select, exp.SetOperation)
        return frozenset()

    def has_column(self, source: exp.Expr, name: str) -> bool:
        """Whether a source may have a column of that name."""
        return self._in_source(source, name, False) is not None

    def _in_source(self, source: exp.Expr, name: str, qualified: bool) -> frozenset[tuple[str, str]] | None:
        """Return what a column of a source is made of; None where the source has no such column."""
        if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier):
            common = self._common(source)
            if common is not None:
                return self._in_query(common, name)
            table = source.name.lower()
            if table in self._inputs:
                return frozenset() if qualified else None
            return frozenset({(table, name)}) if qualified or self._has(table, name) else None
        if isinstance(source, exp.Subquery | exp.Lateral) and isinstance(source.this, exp.Query | exp.Subquery):
            return self._in_query(source, name)
        # Values, UNNEST and the like: whatever they are computed from.
        return self.values_of(source)

    def _has(self, table: str, column: str) -> bool:
        found = self._tables.get(table)
        return found is not None and (column == NODE_COLUMN or found.column(column) is not None)

    def _in_query(self, holder: exp.Expr, name: str) -> frozenset[tuple[str, str]] | None:
        renamed = [c.name.lower() for c in holder.args["alias"].columns] if holder.args.get("alias") else []
        found: frozenset[tuple[str, str]] | None = None
        for query in _branches(holder.this):
            outputs = list(query.selects)
            names = [p.alias_or_name.lower() for p in outputs]
            names[: len(renamed)] = renamed[: len(names)]
            if name in names:
                found = (found or frozenset()) | self.values_of(outputs[names.index(name)])
        return found

    def _common(self, table: exp.Table) -> exp.Expr | None:
        """Return the WITH part that a table's name means, if it means one."""
        around = table.parent
        while around is not None:
            with_ = around.args.get("with_")
            for cte in with_.expressions if with_ is not None else ():
                if cte.alias.lower() == table.name.lower():
                    found: exp.Expr = cte
                    return found
            around = around.parent
        return None

    def sources_around(self, node: exp.Expr) -> set[str]:
        """Return the tables in reach of a star; those of derived tables are named within them."""
        select = node.find_ancestor(exp.Select)
        found = set()
        for source in _sources(select) if select is not None else ():
            if isinstance(source, exp.Table) and self._common(source) is None and source.name not in self._inputs:
                found.add(source.name.lower())
        return found


_OF_DATES = (exp.Year, exp.Quarter, exp.Month, exp.DateTrunc, exp.TimestampTrunc, exp.Extract)
_CUTS = (*_OF_DATES, exp.Left, exp.Substring, exp.Floor, exp.IntDiv, exp.Sub)
"""What a bin is made with: a part of a date, a beginning, a multiple below a number."""


def _is_distinct_count(node: exp.Expr) -> bool:
    return isinstance(node, exp.Count) and isinstance(node.this, exp.Distinct)


def _shows_no_value(node: exp.Expr) -> bool:
    """Whether an expression counts or tests for values without showing one."""
    if isinstance(node, exp.In):
        return bool(node.args.get("query"))
    if isinstance(node, exp.Is):
        return isinstance(node.expression, exp.Null)
    return isinstance(node, exp.Count)


def _sources(select: exp.Select) -> Iterator[exp.Expr]:
    from_ = select.args.get("from_")
    if from_ is not None:
        yield from _joined(from_.this)
    for join in select.args.get("joins") or []:
        yield from _joined(join.this)
    yield from select.args.get("laterals") or []


def _joined(source: exp.Expr) -> Iterator[exp.Expr]:
    yield source
    for join in source.args.get("joins") or []:
        yield from _joined(join.this)


def _branches(query: exp.Expr) -> Iterator[exp.Query]:
    while isinstance(query, exp.Subquery):
        query = query.this
    if isinstance(query, exp.SetOperation):
        yield from _branches(query.this)
        yield from _branches(query.expression)
    elif isinstance(query, exp.Query):
        yield query
