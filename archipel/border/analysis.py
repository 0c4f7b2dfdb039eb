"""Queries as relations: which carriers their rows have, through joins, aggregation, DISTINCT and set operations.

Works on a qualified tree that it owns and changes in place: source names become unique in the statement, base columns
get the catalogue's spelling, and derived tables get extra outputs that carry persons. What runs is thereby resolved
as it was analysed, whatever the engine's rules for names are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from archipel import linkage, schema
from archipel.border import marks, refusal, syntax
from archipel.border.block import Block, Source
from archipel.border.decision import BorderContext
from archipel.border.expressions import Expressions
from archipel.border.persons import MOST_PARAMETERS, inner_contributions, keyed, listed
from archipel.border.refusal import refused
from archipel.border.relations import (
    CUT_LIST,
    OUTER,
    BaseColumn,
    Carrier,
    Cte,
    Exposed,
    Mark,
    Output,
    Person,
    Relation,
    expose,
    expose_marks,
    reached,
)
from archipel.border.unions import common, covers, kept, union_all

Ctes = Mapping[str, Cte]


@dataclass(slots=True)
class Analysis:
    """The analysis of one statement: what it knows of the tables, and what it found."""

    context: BorderContext
    min_persons: int
    prefix: str
    """With this begin the names that the check adds; no name of the statement or of a received column does."""
    linked: frozenset[str] = frozenset()
    """Tables that are read under project pseudonyms, by lower-case name."""
    tables: dict[str, schema.Table] = field(default_factory=dict)
    touched: set[tuple[str, str]] = field(default_factory=set)
    """(table, column) of every base column that the statement names."""
    expressions: Expressions = field(init=False)
    _tables_named: set[str] = field(default_factory=set)
    _aliases: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        # A part of WITH by the name of a table, or of the keys' table, would stand in its place in what runs.
        self._tables_named |= {*self.context.tables, *self.context.inputs, linkage.PADS_TABLE}
        # An alias that is also a column could be read as that column's field: s.x as x of a struct s.
        for columns in self.context.inputs.values():
            self._aliases |= {column.name.lower() for column in columns}
        for table in self.context.tables.values():
            self._aliases |= {column.name.lower() for column in table.columns}
        self.expressions = Expressions(self.context, self.touched, self.relation)

    @property
    def presence(self) -> str:
        """Return the name of the column by which a received table's rows are told from those that a join supplied."""
        return f"{self.prefix}present"

    # Queries

    def relation(self, node: exp.Expr, outer: Block | None, ctes: Ctes) -> Relation:
        """Return what a query gives."""
        if isinstance(node, exp.Subquery):
            return self.relation(node.this, outer, ctes)
        if isinstance(node, exp.Values):
            return self._values(node, outer)
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, outer, ctes)
        if not isinstance(node, exp.Select):
            raise refused(refusal.CONSTRUCT, node, type(node).__name__)
        if node.args.get("distinct") and self._is_protected(node, ctes):
            if node.args["distinct"].args.get("on"):
                return self._distinct_on(node, outer, ctes)
            node = self._as_grouping(node)
        block, inner_ctes = self.open(node, outer, ctes)
        distinct = node.args.get("distinct")
        if isinstance(distinct, exp.Distinct) and distinct.args.get("on") is not None:
            self.expressions.columns(distinct.args["on"], block)
        return self._select(node, block, inner_ctes)

    def open(self, node: exp.Select, outer: Block | None, ctes: Ctes) -> tuple[Block, Ctes]:
        """Return the block of a SELECT after WITH, FROM, joins and WHERE, and the common table expressions in scope."""
        if node.args.get("windows"):
            raise refused(refusal.CONSTRUCT, node, "WINDOW clause")
        ctes = self.with_clause(node, ctes)
        block = Block(outer)
        block.ctes = ctes
        self._from(node, block, ctes)
        where = node.args.get("where")
        if where is not None:
            self.expressions.columns(where.this, block)
            self._join_condition(where.this, block, "", [])
        return block, ctes

    def with_clause(self, node: exp.Expr, ctes: Ctes) -> Ctes:
        """Return the common table expressions in scope below a WITH clause."""
        clause = node.args.get("with_")
        if clause is None:
            return ctes
        found = dict(ctes)
        for cte in clause.expressions:
            name = cte.alias.lower()
            unique = _fresh(name, self._tables_named)
            if clause.args.get("recursive") and isinstance(cte.this, exp.SetOperation):
                if self._is_protected(cte, found):
                    raise refused(refusal.CONSTRUCT, cte, "WITH RECURSIVE over a protected table")
                anchor = self.relation(cte.this.this, None, found)
                inner = found | {name: Cte(unique, anchor, [])}
                self.relation(cte.this.expression, None, inner)
                relation = anchor
            else:
                relation = self.relation(cte.this, None, found)
            self._rename_outputs(relation, cte.args["alias"])
            given = expose(relation, self.prefix)
            found[name] = Cte(unique, relation, given, expose_marks(relation, self.prefix))
            cte.args["alias"].set("this", exp.to_identifier(unique, quoted=True))
        return found

    def _select(self, node: exp.Select, block: Block, ctes: Ctes) -> Relation:
        if block.carriers or self._is_protected(node, ctes):
            self._no_choice_among_rows(node)
        aggregates = syntax.aggregates_of(node)
        group = node.args.get("group")
        if group is not None or aggregates or node.args.get("having") is not None:
            self._group(node, block, group, aggregates)
        grouped = group is not None or bool(aggregates)
        outputs = [self._output(projection, block, grouped) for projection in node.expressions]
        for clause in ("having", "qualify"):
            if node.args.get(clause) is not None:
                self.expressions.columns(node.args[clause].this, block)
        self._order_and_limit(node, block, outputs)
        return Relation(node, outputs, block.distinct_carriers(), block.determined)

    def _output(self, projection: exp.Expr, block: Block, grouped: bool) -> Output:
        value = syntax.unwrapped(projection.unalias())
        person = self.expressions.person(value, block)
        if person is not None:
            if block.keys and person.carrier not in block.keys and person.carrier is not None:
                raise refused(refusal.PERSON_EXPRESSION, value, value.name)
            return Output(projection.alias_or_name.lower(), frozenset(), person)
        handed_on = self.expressions.link(value, block)
        if handed_on is not None:
            return replace(handed_on, name=projection.alias_or_name.lower())
        columns = self.expressions.columns(value, block)
        plain = isinstance(value, exp.Column) and self.expressions.is_plain(value, block)
        hidden: list[Mark] = []
        if block.carriers:
            of = marks.of_group if grouped else marks.of_value
            hidden = of(value, lambda column: self.expressions.marks(column, block))
        return Output(projection.alias_or_name.lower(), columns, plain=plain, marks=tuple(hidden))

    def _no_choice_among_rows(self, node: exp.Expr) -> None:
        for clause in ("limit", "offset"):
            if node.args.get(clause) is not None:
                raise refused(refusal.LIMIT_ACROSS_PERSONS, node.args[clause], clause.upper())
        distinct = node.args.get("distinct")
        if not (isinstance(distinct, exp.Distinct) and distinct.args.get("on")):
            node.set("order", None)  # without LIMIT it orders nothing that anyone sees

    def _order_and_limit(self, node: exp.Expr, block: Block | None, outputs: list[Output]) -> None:
        names = {output.name for output in outputs}
        order = node.args.get("order")
        for item in order.expressions if order is not None else ():
            if isinstance(item.this, exp.Column) and not item.this.table and item.this.name.lower() in names:
                continue
            if block is not None:
                self.expressions.columns(item.this, block)
            elif not isinstance(item.this, exp.Literal | exp.Var):
                raise refused(refusal.CONSTRUCT, item, "ORDER BY an expression over a set operation")
        for clause in ("limit", "offset"):
            if node.args.get(clause) is not None and not isinstance(node.args[clause].expression, exp.Literal):
                raise refused(refusal.CONSTRUCT, node.args[clause], f"{clause.upper()} by an expression")

    # FROM

    def _from(self, node: exp.Select, block: Block, ctes: Ctes) -> None:
        clause = node.args.get("from_")
        if clause is None:
            return
        self._add_source(clause.this, block, ctes)
        for join in node.args.get("joins") or ():
            if join.args.get("using"):
                raise refused(refusal.CONSTRUCT, join, "USING in this place")
            left = list(block.carriers)
            name, source = self._add_source(join.this, block, ctes)
            side = str(join.args.get("side") or "").upper()
            kind = str(join.args.get("kind") or "").upper()
            condition = join.args.get("on")
            if condition is not None:
                self.expressions.columns(condition, block)
            if kind in ("SEMI", "ANTI"):
                self._semi_join(join, block, left, name, source)
                continue
            self._join_condition(condition, block, side, source.carriers)
            if side in ("LEFT", "FULL"):
                _make_optional(source.carriers)
            if side in ("RIGHT", "FULL"):
                _make_optional(left)

    def _semi_join(self, join: exp.Expr, block: Block, left: list[Carrier], name: str, source: Source) -> None:
        if source.carriers:
            self._join_condition(join.args.get("on"), block, "LEFT", source.carriers)
            known = {carrier for carrier in left if not carrier.listed} | {OUTER}
            if not set(source.carriers) <= reached(known, block.determined):
                raise refused(refusal.SUBQUERY_ACROSS_PERSONS, join)
        block.carriers = left
        del block.sources[name]

    def _join_condition(self, condition: exp.Expr | None, block: Block, side: str, right: list[Carrier]) -> None:
        """Note what the person equalities that all must hold tell about the row's carriers."""
        for part in syntax.conjuncts(condition):
            if not isinstance(part, exp.EQ):
                continue
            one = self.expressions.located_person(part.this, block)
            other = self.expressions.located_person(part.expression, block)
            if one is None or other is None:
                continue
            for (mine, here), (theirs, there) in ((one, other), (other, one)):
                if mine is None or not here:
                    continue
                # In an outer join the equality holds only where the null-supplying side has a row.
                supplied = side == "" or (side == "LEFT" and mine in right) or (side == "RIGHT" and mine not in right)
                if not there and supplied:
                    block.determine(OUTER, mine)
                elif there and theirs is not None and side == "":
                    block.equate(mine, theirs)
                elif there and theirs is not None and supplied and (mine in right) != (theirs in right):
                    block.determine(theirs, mine)

    def _add_source(self, node: exp.Expr, block: Block, ctes: Ctes) -> tuple[str, Source]:
        name = node.alias_or_name.lower()
        if not name or name in block.sources:
            raise refused(refusal.CONSTRUCT, node, "a source without a name of its own")
        if isinstance(node, exp.Table) and isinstance(node.this, exp.GenerateSeries):
            source = self._series(node, list(node.this.iter_expressions()), block)
        elif isinstance(node, exp.Table):
            source = self._table(node, ctes)
        elif isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
            relation = self.relation(node.this, block.outer, ctes)
            self._rename_outputs(relation, node.args["alias"])
            given = expose(relation, self.prefix)
            source = self._derived(name, relation, given, expose_marks(relation, self.prefix))
        elif isinstance(node, exp.Values):
            relation = self._values(node, block.outer)
            source = self._derived(name, relation, [], {})
        elif isinstance(node, exp.Unnest):
            source = self._series(node, node.expressions, block)
        else:
            raise refused(refusal.CONSTRUCT, node, f"{type(node).__name__} in FROM")
        alias = node.args.get("alias") or exp.TableAlias()
        alias.set("this", exp.to_identifier(source.alias, quoted=True))
        node.set("alias", alias)
        block.sources[name] = source
        block.carriers = block.carriers + source.carriers
        block.determined |= source.determined
        return name, source

    def _table(self, node: exp.Table, ctes: Ctes) -> Source:
        name = node.name.lower()
        if node.args.get("alias") is not None and node.args["alias"].args.get("columns"):
            raise refused(refusal.CONSTRUCT, node, "column names after a table's alias")
        if name in ctes:
            cte = ctes[name]
            node.set("this", exp.to_identifier(cte.name, quoted=True))
            return self._derived(node.alias_or_name.lower(), cte.relation, cte.exposed, cte.marks)
        if name in self.context.inputs:
            outputs = {c.name.lower(): Output(c.name.lower(), frozenset()) for c in self.context.inputs[name]}
            spelling = {c.name.lower(): c.name for c in self.context.inputs[name]}
            return Source(self.alias(node.alias_or_name.lower()), outputs, spelling)
        table = self.context.tables.get(name)
        if table is None:
            raise refused(refusal.UNKNOWN_TABLE, node, node.name)
        return self._base(node, table)

    def _base(self, node: exp.Table, table: schema.Table) -> Source:
        self.tables[table.name.lower()] = table
        alias = self.alias(node.alias_or_name.lower())
        carrier = None
        policy = table.policy
        received = table.name in self.context.received
        person = (table.person_column or "").lower()
        if policy.protected:
            column = table.column(person)
            if column is None:
                raise refused(refusal.NO_PERSON_COLUMN, node, table.name)
            present = self.presence if received else schema.NODE_COLUMN
            marker = exp.column(present, alias, quoted=True).is_(exp.null()).not_()
            carrier = Carrier(
                table.person_domain or person, column.type, exp.column(column.name, alias, quoted=True), marker
            )
        outputs = {}
        for column in table.columns:
            name = column.name.lower()
            if carrier is not None and name == person:
                outputs[name] = Output(name, frozenset(), Person(carrier.domain, carrier))
                continue
            role = policy.role_of(name)
            groupable = not policy.protected or role in (schema.Role.PUBLIC, schema.Role.GROUP)
            link = policy.protected and role is schema.Role.LINK
            base = BaseColumn(table.name, column.name, groupable, link)
            outputs[name] = Output(name, frozenset((base,)), plain=policy.protected)
        if not received:
            outputs[schema.NODE_COLUMN] = Output(schema.NODE_COLUMN, frozenset())
        spelling = {column.name.lower(): column.name for column in table.columns}
        node.set("this", exp.to_identifier(table.name, quoted=True))
        return Source(alias, outputs, spelling, table.name, [carrier] if carrier is not None else [])

    def _derived(self, name: str, relation: Relation, exposed: list[Exposed], named: Mapping[Mark, str]) -> Source:
        """Return a source over ``relation``, with carriers of its own."""
        alias = self.alias(name)
        own: dict[Carrier, Carrier] = {}
        for item in exposed:
            old = item.carrier
            person = exp.column(item.person, alias, quoted=True)
            marker: exp.Expr = (
                exp.column(item.marker, alias, quoted=True)
                if item.marker is not None
                else person.copy().is_(exp.null()).not_()
            )
            own[old] = Carrier(old.domain, old.kind, person, marker, old.optional, old.listed)
        # A merged carrier's outputs speak of another carrier of the same person: find the one that was kept.
        outputs: dict[str, Output] = {}
        for output in relation.outputs:
            person_of = output.person
            if person_of is not None:
                carrier = kept(person_of.carrier, relation)
                person_of = Person(person_of.domain, own.get(carrier) if carrier is not None else None)
            carried = tuple(
                Mark(exp.column(named[mark], alias, quoted=True), mark.split, mark.step) for mark in output.marks
            )
            outputs.setdefault(output.name, replace(output, person=person_of, marks=carried))
        edges = {
            (own.get(by, by), own[what])
            for by in (*own, OUTER)
            for what in reached([by], relation.determined) & own.keys()
            if by is not what
        }
        return Source(alias, outputs, carriers=list(own.values()), determined=edges)

    def _series(self, node: exp.Expr, arguments: list[exp.Expr], block: Block) -> Source:
        """Return the rows that a list or a range makes of one row of the sources before it: whose row it is stays."""
        columns = frozenset[BaseColumn]()
        for argument in arguments:
            columns |= self.expressions.columns(argument, block)
        name = node.alias_or_name.lower()
        alias = node.args.get("alias")
        given = [column.name.lower() for column in alias.args.get("columns") or ()] if alias is not None else []
        if not given:
            # The engine's own name for it, written out: nothing then hangs on its rules.
            series = node.this if isinstance(node, exp.Table) else None
            exclusive = series is not None and series.args.get("is_end_exclusive")
            given = ["unnest" if series is None else "range" if exclusive else "generate_series"]
            alias = alias if alias is not None else exp.TableAlias()
            alias.set("columns", [exp.to_identifier(given[0], quoted=True)])
            node.set("alias", alias)
        return Source(self.alias(name), {column: Output(column, columns) for column in given})

    def _values(self, node: exp.Values, outer: Block | None) -> Relation:
        block = Block(outer)
        width = 0
        for row in node.expressions:
            cells = row.expressions if isinstance(row, exp.Tuple) else [syntax.unwrapped(row)]
            width = len(cells)
            for cell in cells:
                self.expressions.columns(cell, block)
        alias = node.args.get("alias")
        given = [column.name.lower() for column in alias.args.get("columns") or ()] if alias is not None else []
        names = given + [f"col{number}" for number in range(len(given), width)]
        return Relation(node, [Output(name, frozenset()) for name in names], [], set())

    # Aggregation and DISTINCT

    def _group(self, node: exp.Select, block: Block, group: exp.Expr | None, aggregates: list[exp.Expr]) -> None:
        """Turn the block's carriers from those of a row into those of a group."""
        keys: list[exp.Expr] = []
        if group is not None and group.args.get("all"):
            keys = [p.unalias() for p in node.expressions if not syntax.aggregates_in(p)]
        elif group is not None:
            if block.carriers and syntax.has_grouping_sets(group):
                raise refused(refusal.CONSTRUCT, group, "GROUPING SETS below the outermost SELECT")
            keys = syntax.grouping_keys(group)
        by_person: dict[Carrier, exp.Expr] = {}
        for key in keys:
            person = self.expressions.person(key, block)
            if person is None and self.expressions.link(key, block) is not None:
                continue
            if person is None:
                self.expressions.columns(key, block)
            elif person.carrier is not None:
                by_person.setdefault(person.carrier, syntax.unwrapped(key))
        block.keys = set(by_person)
        # Aggregates are looked at while the carriers are still those of single rows.
        for aggregate in aggregates:
            self.expressions.aggregate(aggregate, block)
        known = reached(block.keys | {OUTER}, block.determined)
        several = [carrier for carrier in block.distinct_carriers() if carrier not in known]
        conditions: dict[str, exp.Expr | None] = {"": None}
        for aggregate in aggregates if several else ():
            below = marks.conditions_of(aggregate, lambda column: self.expressions.marks(column, block))
            conditions |= {condition.sql(): condition for condition in (*inner_contributions(aggregate), *below)}
        lists = [
            listed(carrier, condition, self._most_needed()) for condition in conditions.values() for carrier in several
        ]
        for carrier in lists:
            carrier.person.meta[CUT_LIST] = True
        for carrier, key in by_person.items():
            keyed(carrier, key)
        # What a key determines is the same person's, and what the enclosing row determines is that row's.
        block.carriers = [*by_person, *lists]

    def _most_needed(self) -> int:
        """Return the largest number of persons that any group of the statement may have to have."""
        policies = [t.policy for t in self.context.tables.values() if t.policy.protected]
        needed = [self.min_persons, *(sensitive.min_persons for p in policies for sensitive in p.sensitive)]
        return max([*needed, *(policy.dominance.min_degrees + MOST_PARAMETERS for policy in policies)])

    def _as_grouping(self, node: exp.Select) -> exp.Select:
        """Replace SELECT DISTINCT by the grouping that it is."""
        alias = self.alias(f"{self.prefix}distinct")
        names = [projection.alias_or_name for projection in node.expressions]
        columns = [exp.column(name, alias, quoted=True) for name in names]
        outer = exp.Select(
            expressions=[exp.alias_(column, name, quoted=True) for column, name in zip(columns, names, strict=True)],
            group=exp.Group(expressions=[column.copy() for column in columns]),
        )
        node.replace(outer)
        node.set("distinct", None)
        node.set("order", None)
        outer.set("from_", exp.From(this=_subquery(node, alias)))
        return outer

    def _distinct_on(self, node: exp.Select, outer: Block | None, ctes: Ctes) -> Relation:
        block, inner = self.open(node, outer, ctes)
        if syntax.aggregates_of(node) or node.args.get("group"):
            raise refused(refusal.CONSTRUCT, node, "DISTINCT ON with aggregates")
        on = node.args["distinct"].args["on"]
        persons = set()
        for key in on.expressions if isinstance(on, exp.Tuple) else [on]:
            person = self.expressions.person(syntax.unwrapped(key), block)
            if person is None:
                self.expressions.columns(key, block)
            elif person.carrier is not None:
                persons.add(person.carrier)
        if not block.covered_by(persons):
            raise refused(refusal.LIMIT_ACROSS_PERSONS, node, "DISTINCT ON without the person column")
        order = node.args.get("order")
        for item in list(order.expressions) if order is not None else ():
            if self.expressions.person(item.this, block) is not None:
                item.pop()  # the order of persons decides nothing among the rows of one
        if order is not None and not order.expressions:
            node.set("order", None)
        return self._select(node, block, inner)

    # Set operations

    def _set_operation(self, node: exp.SetOperation, outer: Block | None, ctes: Ctes) -> Relation:
        ctes = self.with_clause(node, ctes)
        protected = self._is_protected(node, ctes)
        if protected:
            self._no_choice_among_rows(node)
        if protected and isinstance(node, exp.Union) and node.args.get("distinct"):
            node.set("distinct", False)
            return self._distinct_union(node, outer, ctes)
        left = self.relation(node.this, outer, ctes)
        right = self.relation(node.expression, outer, ctes)
        if len(left.outputs) != len(right.outputs):
            raise refused(refusal.SET_OPERATION_PERSONS, node)
        if not left.carriers and not right.carriers:
            outputs = [Output(a.name, a.columns | b.columns) for a, b in zip(left.outputs, right.outputs, strict=True)]
            self._order_and_limit(node, None, outputs)
            return Relation(node, outputs, [], set())
        if isinstance(node, exp.Union):
            return union_all(node, left, right)
        return self._same_persons(node, left, right)

    def _distinct_union(self, node: exp.SetOperation, outer: Block | None, ctes: Ctes) -> Relation:
        names = [projection.alias_or_name for projection in node.selects]
        alias = self.alias(f"{self.prefix}union")
        columns = [exp.column(name, alias, quoted=True) for name in names]
        grouped = exp.Select(
            expressions=[exp.alias_(column, name, quoted=True) for column, name in zip(columns, names, strict=True)],
            group=exp.Group(expressions=[column.copy() for column in columns]),
        )
        clause = node.args.get("with_")
        node.replace(grouped)
        node.set("with_", None)
        grouped.set("from_", exp.From(this=_subquery(node, alias)))
        block = Block(outer)
        block.ctes = ctes
        self._from(grouped, block, ctes)
        relation = self._select(grouped, block, ctes)
        grouped.set("with_", clause)
        return relation

    def _same_persons(self, node: exp.SetOperation, left: Relation, right: Relation) -> Relation:
        """EXCEPT and INTERSECT: a row's presence may depend only on the person in it."""
        for mine, theirs in zip(left.outputs, right.outputs, strict=True):
            if (
                mine.person is None
                or theirs.person is None
                or mine.person.carrier is None
                or theirs.person.carrier is None
                or mine.person.domain != theirs.person.domain
            ):
                continue
            if covers(mine.person.carrier, left) and covers(theirs.person.carrier, right):
                break
        else:
            raise refused(refusal.SET_OPERATION_PERSONS, node)
        outputs = [
            Output(a.name, a.columns | b.columns, common(node, a.person, b.person))
            for a, b in zip(left.outputs, right.outputs, strict=True)
        ]
        alias = self.alias(f"{self.prefix}rows")
        carrier = Carrier(
            mine.person.domain,
            mine.person.carrier.kind,
            exp.column(mine.name, alias, quoted=True),
            exp.true(),
        )
        names = [output.name for output in outputs]
        around = exp.Select(
            expressions=[exp.alias_(exp.column(name, alias, quoted=True), name, quoted=True) for name in names]
        )
        clause = node.args.get("with_")
        node.set("with_", None)
        node.replace(around)
        around.set("from_", exp.From(this=_subquery(node, alias)))
        around.set("with_", clause)
        outputs = [
            Output(o.name, o.columns, Person(carrier.domain, carrier if o.name == mine.name else None))
            if o.person is not None
            else o
            for o in outputs
        ]
        bound = mine.person.carrier in left.bound()
        return Relation(around, outputs, [carrier], {(OUTER, carrier)} if bound else set())

    # Names

    def _rename_outputs(self, relation: Relation, alias: exp.Expr) -> None:
        columns = alias.args.get("columns") if alias is not None else None
        for number, column in enumerate(columns or ()):
            if number < len(relation.outputs):
                old = relation.outputs[number]
                relation.outputs[number] = replace(old, name=column.name.lower())

    def alias(self, name: str) -> str:
        """Return an alias for a source that no other source of the statement has."""
        return _fresh(name, self._aliases)

    def _is_protected(self, node: exp.Expr, ctes: Ctes) -> bool:
        """Whether a query names a protected table, itself or through a common table expression."""
        for table in node.find_all(exp.Table):
            name = table.name.lower()
            if name in ctes:
                if ctes[name].relation.carriers:
                    return True
            elif name in self.context.tables and self.context.tables[name].policy.protected:
                return True
        return False


def _fresh(name: str, taken: set[str]) -> str:
    wanted, number = name, 1
    while wanted in taken:
        number += 1
        wanted = f"{name}_{number}"
    taken.add(wanted)
    return wanted


def _make_optional(carriers: list[Carrier]) -> None:
    for carrier in carriers:
        carrier.optional = True


def _subquery(node: exp.Expr, alias: str) -> exp.Subquery:
    return exp.Subquery(this=node, alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
