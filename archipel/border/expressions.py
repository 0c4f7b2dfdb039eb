"""Expressions of one row: which columns they read, and that no person is computed with and no value changes owner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from sqlglot import exp

from archipel import aggregates, schema
from archipel.border import bins, refusal, syntax, vocabulary
from archipel.border.block import Block
from archipel.border.decision import BorderContext
from archipel.border.refusal import refused
from archipel.border.relations import OUTER, BaseColumn, Carrier, Cte, Mark, Output, Person, Relation, reached

Columns = frozenset[BaseColumn]
_NOTHING: Columns = frozenset()

_RANKING = frozenset(("row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile"))


class Expressions:
    """Resolves columns and judges expressions. ``touched`` collects every base column that is named."""

    def __init__(
        self,
        context: BorderContext,
        touched: set[tuple[str, str]],
        relation: Callable[[exp.Expr, Block | None, Mapping[str, Cte]], Relation],
    ) -> None:
        self._context = context
        self._touched = touched
        self._relation = relation
        # Nodes are kept with what was found for them, so that no identity is ever used twice.
        self._resolved: dict[int, tuple[exp.Expr, Output, Block]] = {}
        self._judged: dict[int, tuple[exp.Expr, Columns]] = {}
        self._has_bins = any(table.policy.bins for table in context.tables.values())

    # Columns and persons

    def person(self, node: exp.Expr, block: Block) -> Person | None:
        """Return whose identifier an expression is, when it is a plain person column (or USING's COALESCE of some)."""
        found = self._located(node, block)
        return found[0] if found is not None else None

    def located_person(self, node: exp.Expr, block: Block) -> tuple[Carrier | None, bool] | None:
        """Return a person column's carrier, and whether it is of this block and not of one around it."""
        found = self._located(node, block)
        return (found[0].carrier, found[1] is block) if found is not None else None

    def _located(self, node: exp.Expr, block: Block) -> tuple[Person, Block] | None:
        node = syntax.unwrapped(node)
        if isinstance(node, exp.Column):
            output, home = self._resolve(node, block)
            return (output.person, home) if output.person is not None else None
        if isinstance(node, exp.Coalesce):
            return self._same_person(node, block)
        return None

    def _same_person(self, node: exp.Coalesce, block: Block) -> tuple[Person, Block] | None:
        parts = [node.this, *node.expressions]
        found = [self._located(part, block) for part in parts]
        persons = [person for person in found if person is not None]
        if not persons:
            return None
        first, home = persons[0]
        if len(persons) < len(parts) or any(p.domain != first.domain or b is not home for p, b in persons):
            raise refused(refusal.PERSON_EXPRESSION, node, self._named(node, block))
        carriers = [person.carrier for person, _ in persons]
        for carrier in carriers:
            if carrier is not None and set(carriers) <= reached([carrier], home.determined):
                return Person(first.domain, carrier), home
        return Person(first.domain, None), home

    def _resolve(self, node: exp.Column, block: Block) -> tuple[Output, Block]:
        known = self._resolved.get(id(node))
        if known is not None:
            return known[1], known[2]
        name, table = node.name.lower(), node.table.lower()
        if node.args.get("db") or node.args.get("catalog"):
            raise refused(refusal.QUALIFIED_TABLE, node, node.name)
        for home in block.enclosing():
            source = home.sources.get(table)
            if source is None:
                continue
            output = source.outputs.get(name)
            if output is None:
                raise refused(refusal.UNKNOWN_COLUMN, node, node.name)
            if source.base is not None and name != schema.NODE_COLUMN:
                self._permit(node, source.base, source.spelling[name], output)
            node.set("table", exp.to_identifier(source.alias, quoted=True))
            node.this.set("this", source.spelling.get(name, name))
            self._resolved[id(node)] = (node, output, home)
            return output, home
        raise refused(refusal.UNKNOWN_COLUMN, node, node.name)

    def _permit(self, node: exp.Column, table: str, column: str, output: Output) -> None:
        full = f"{table}.{column}"
        # What was received is there under the name of an exchange: its sender asked the permit about the columns.
        if table not in self._context.received and not self._context.permit.allows_column(table, column):
            raise refused(refusal.PERMIT_COLUMN, node, full)
        policy = self._context.tables[table.lower()].policy
        if output.person is None and policy.role_of(column) is schema.Role.HIDDEN:
            raise refused(refusal.HIDDEN_COLUMN, node, full)
        self._touched.add((table, column))

    def marks(self, column: exp.Column, block: Block) -> tuple[Mark, ...]:
        """Return what a column hides of how it was computed in a derived table."""
        return self._resolve(column, block)[0].marks

    def link(self, node: exp.Expr, block: Block) -> Output | None:
        """Return the column that an expression is, when it is one that may only be joined on and counted."""
        node = syntax.unwrapped(node)
        output = self._resolve(node, block)[0] if isinstance(node, exp.Column) else None
        return output if output is not None and output.link else None

    def _bin_of(self, column: exp.Column, block: Block) -> str | None:
        """Return the bin that policy names for a column, if it is a potential identifier as it stands in its table."""
        output = self._resolve(column, block)[0]
        base = next(iter(output.columns), None)
        if base is None or not output.plain or output.person is not None:
            return None
        policy = self._context.tables[base.table.lower()].policy
        named = {name.lower(): kind for name, kind in policy.bins}
        return named.get(base.column.lower()) if policy.role_of(base.column) is schema.Role.IDENTIFIER else None

    def is_plain(self, node: exp.Expr, block: Block) -> bool:
        """Whether a value is a protected table's column as it stands there, at most in another type, unit or scale."""
        node = syntax.unwrapped(node)
        if isinstance(node, exp.Column):
            return self._resolve(node, block)[0].plain
        if isinstance(node, exp.Cast | exp.TryCast | exp.Neg):
            return self.is_plain(node.this, block)
        if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Div):
            sides = [syntax.unwrapped(side) for side in (node.this, node.expression)]
            varying = [side for side in sides if not isinstance(side, exp.Literal)]
            return len(varying) == 1 and self.is_plain(varying[0], block)
        return False

    # Expressions

    def columns(self, node: exp.Expr, block: Block) -> Columns:
        """Return the base columns that a value is computed from, after judging all of it.

        Raises:
            ArchipelError: BORDER_REFUSED, PERMIT_SCOPE, POLICY_REFUSED, SQL_...
        """
        if isinstance(node, exp.Column):
            output, _ = self._resolve(node, block)
            if output.person is not None:
                raise refused(refusal.PERSON_EXPRESSION, node, node.name)
            if output.link:
                raise refused(refusal.LINK_ONLY, node, node.name)
            return output.columns
        if self._has_bins:
            cut = bins.binned(node, lambda column: self._bin_of(column, block))
            if cut is not None:
                return frozenset(replace(base, groupable=True) for base in self.columns(cut, block))
        if type(node) not in vocabulary.ALLOWED:
            raise refused(refusal.CONSTRUCT, node, type(node).__name__)
        if isinstance(node, exp.Star):
            raise refused(refusal.CONSTRUCT, node, "a star that stands for no usable column")
        if isinstance(node, exp.And | exp.Or):
            # Long chains are walked flat.
            return self._union((part for part in node.flatten()), block)
        if isinstance(node, exp.EQ):
            return self._equality(node, block)
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            if self.person(node.this, block) is not None or self.link(node.this, block) is not None:
                return _NOTHING
        elif isinstance(node, exp.Exists):
            return self._exists(node, block)
        elif isinstance(node, exp.In):
            return self._in(node, block)
        elif isinstance(node, exp.Window):
            return self._window(node, block)
        elif isinstance(node, exp.Any | exp.All):
            return self._scalar_subquery(syntax.unwrapped(node.this), block)
        elif isinstance(node, exp.Query):
            return self._scalar_subquery(node, block)
        elif isinstance(node, exp.Coalesce):
            if self.person(node, block) is not None:
                raise refused(refusal.PERSON_EXPRESSION, node, self._named(node, block))
        else:
            judged = self._judged.get(id(node))
            if judged is not None:
                return judged[1]
            if syntax.aggregate_name(syntax.split_filter(node)[0]) is not None:
                raise refused(refusal.CONSTRUCT, node, "an aggregate in this place")
            if type(node) in vocabulary.WINDOW_CLASSES:
                raise refused(refusal.CONSTRUCT, node, "a window function without OVER")
        return self._union(node.iter_expressions(), block)

    def _union(self, nodes: object, block: Block) -> Columns:
        found: Columns = _NOTHING
        for node in nodes:  # type: ignore[attr-defined]
            if not isinstance(node, exp.Identifier | exp.DataType):
                found |= self.columns(node, block)
        return found

    def _equality(self, node: exp.EQ, block: Block) -> Columns:
        one, other = self.person(node.this, block), self.person(node.expression, block)
        links = [self.link(side, block) is not None for side in (node.this, node.expression)]
        if any(links):
            if not all((links[0] or one is not None, links[1] or other is not None)):
                side = node.this if links[0] else node.expression
                raise refused(refusal.LINK_ONLY, side, syntax.unwrapped(side).name)
            return _NOTHING
        if one is None and other is None:
            return self._union((node.this, node.expression), block)
        if one is None or other is None or one.domain != other.domain:
            side = node.this if one is not None else node.expression
            raise refused(refusal.PERSON_COMPARISON, side, self._named(side, block))
        return _NOTHING

    def _named(self, node: exp.Expr, block: Block) -> str:
        """Return the name of the first person column in an expression."""
        for column in node.find_all(exp.Column):
            if self.person(column, block) is not None:
                return column.name
        return ""

    # Subqueries

    def _scalar_subquery(self, node: exp.Expr, block: Block) -> Columns:
        if not isinstance(node, exp.Query):
            return self.columns(node, block)
        relation = self._relation(node, block, block.ctes)
        if not set(relation.carriers) <= relation.bound():
            raise refused(refusal.SUBQUERY_ACROSS_PERSONS, node)
        for output in relation.outputs:
            if output.person is not None:
                raise refused(refusal.PERSON_EXPRESSION, node, output.name)
            if output.link:
                raise refused(refusal.LINK_ONLY, node, output.name)
        return _read(relation) | self._inside(node)

    def _exists(self, node: exp.Exists, block: Block) -> Columns:
        relation = self._relation(node.this, block, block.ctes)
        if not set(relation.carriers) <= relation.bound():
            raise refused(refusal.SUBQUERY_ACROSS_PERSONS, node)
        return _read(relation) | self._inside(node.this)

    def _in(self, node: exp.In, block: Block) -> Columns:
        query = node.args.get("query")
        if query is None:
            person = self.person(node.this, block)
            if person is not None:
                raise refused(refusal.PERSON_COMPARISON, node.this, self._named(node.this, block))
            return self._union((node.this, *node.expressions), block)
        relation = self._relation(query, block, block.ctes)
        left = syntax.unwrapped(node.this)
        tested = left.expressions if isinstance(left, exp.Tuple) else [left]
        if len(tested) != len(relation.outputs):
            raise refused(refusal.CONSTRUCT, node, "IN with another number of columns")
        found = _read(relation) | self._inside(query)
        equated = [OUTER]
        for value, output in zip(tested, relation.outputs, strict=True):
            person = self.person(value, block)
            if output.link or self.link(value, block) is not None:
                here = person is not None or self.link(value, block) is not None
                if not (here and (output.link or output.person is not None)):
                    raise refused(refusal.LINK_ONLY, value, syntax.unwrapped(value).name or output.name)
                continue
            if person is None and output.person is None:
                found |= self.columns(value, block)
            elif person is None or output.person is None or person.domain != output.person.domain:
                raise refused(refusal.PERSON_COMPARISON, value, self._named(value, block) or output.name)
            elif output.person.carrier is not None:
                equated.append(output.person.carrier)
        if not set(relation.carriers) <= reached(equated, relation.determined):
            raise refused(refusal.SUBQUERY_ACROSS_PERSONS, node)
        return found

    def _inside(self, query: exp.Expr) -> Columns:
        """Return every base column that was resolved inside a subquery: its truth depends on them all."""
        found: Columns = _NOTHING
        for column in query.find_all(exp.Column):
            known = self._resolved.get(id(column))
            if known is not None:
                found |= known[1].columns
        return found

    # Aggregates and windows

    def aggregate(self, unit: exp.Expr, block: Block) -> None:
        """Judge an aggregate of a block while the block's carriers are still those of single rows."""
        call, _ = syntax.split_filter(unit)
        name = syntax.aggregate_name(call) or ""
        leak = aggregates.REGISTRY[name].leak
        distinct = syntax.is_distinct(call) and name != "count"
        # What is computed from constants shows nothing but who contributes, which is counted as for every aggregate.
        values = not syntax.is_of_constants(unit)
        if leak is aggregates.Leak.HISTOGRAM and not (block.outermost and block.carriers):
            raise refused(refusal.HISTOGRAM, call, "in this place: only of the groups of protected tables that leave")
        # Judged with the statement.
        sketched = block.outermost and leak in (aggregates.Leak.SKETCH, aggregates.Leak.HISTOGRAM) and not distinct
        if block.carriers and values and not sketched and (leak is not aggregates.Leak.NONE or distinct):
            if block.outermost and leak is not aggregates.Leak.NONE:
                raise refused(refusal.VALUE_AGGREGATE, call, name)
            if block.outermost:
                raise refused(refusal.DISTINCT_AGGREGATE, call, name)
            if not block.covered_by(block.keys):
                raise refused(refusal.VALUE_ACROSS_PERSONS, call, name)
        found = self._arguments(unit, block)
        if block.outer is not None:
            self._of_this_block(unit, block)
        self._judged[id(unit)] = (unit, found)

    def _arguments(self, unit: exp.Expr, block: Block) -> Columns:
        call, condition = syntax.split_filter(unit)
        found: Columns = _NOTHING
        counts = isinstance(call, exp.Count)
        for argument in syntax.arguments(call):
            if isinstance(argument, exp.Star):
                continue
            if counts and (self.person(argument, block) is not None or self.link(argument, block) is not None):
                continue
            found |= self.columns(argument, block)
        for order in unit.find_all(exp.Order):
            if order.find_ancestor(exp.Query, exp.Window) is None or self._within(order, unit):
                found |= self._union((item.this for item in order.expressions), block)
        if condition is not None:
            found |= self.columns(condition, block)
        return found

    def _within(self, order: exp.Order, unit: exp.Expr) -> bool:
        """Whether an ORDER BY belongs to the aggregate itself and not to a subquery or window in its arguments."""
        node: exp.Expr | None = order.parent
        while node is not None and node is not unit:
            if isinstance(node, exp.Query | exp.Window):
                return False
            node = node.parent
        return True

    def _of_this_block(self, unit: exp.Expr, block: Block) -> None:
        """Refuse an aggregate over an enclosing query's columns: SQL would compute it there, not here."""
        for column in unit.find_all(exp.Column):
            known = self._resolved.get(id(column))
            if known is not None and known[2] is not block and known[2] in block.enclosing():
                raise refused(refusal.CONSTRUCT, column, "an aggregate over a column of an enclosing query")

    def _window(self, node: exp.Window, block: Block) -> Columns:
        if node.args.get("alias") is not None:
            raise refused(refusal.CONSTRUCT, node, "a named window")
        call, _ = syntax.split_filter(node.this)
        persons = set()
        for key in node.args.get("partition_by") or ():
            person = self.person(key, block)
            if person is None:
                self.columns(key, block)
            elif person.carrier is not None:
                persons.add(person.carrier)
        if block.carriers and not block.covered_by(persons):
            raise refused(refusal.WINDOW_ACROSS_PERSONS, node)
        order = node.args.get("order")
        if order is not None:
            self._union((item.this for item in order.expressions), block)
        spec = node.args.get("spec")
        for part in ("start", "end"):
            bound = spec.args.get(part) if spec is not None else None
            if isinstance(bound, exp.Expr):
                self.columns(bound, block)
        name = syntax.aggregate_name(call) or vocabulary.WINDOW_CLASSES.get(type(call))
        if name is None:
            raise refused(refusal.CONSTRUCT, node, "OVER after what is no window function")
        found = self._arguments(node.this, block)
        return _NOTHING if name in _RANKING else found


def _read(relation: Relation) -> Columns:
    found: Columns = _NOTHING
    for output in relation.outputs:
        found |= output.columns
    return found
