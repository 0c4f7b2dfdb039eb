"""Reading the rows of a statement twice: whether both readings see the same, and making it so.

What depends on the order in which the engine works is computed once and kept. Where that cannot be arranged part by
part, all that the groups are made of is kept, row by row: keys, arguments, conditions and persons.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from archipel.border import syntax
from archipel.border.building import alias, column, cte, from_
from archipel.border.persons import Count
from archipel.border.relations import Carrier
from archipel.border.spread import Spread


def group_keys(select: exp.Select) -> list[exp.Expr]:
    """Return the expressions that a SELECT groups by, each once."""
    group = select.args.get("group")
    return list(dict.fromkeys(syntax.unwrapped(key) for key in syntax.grouping_keys(group))) if group else []


def may_be_read_twice(select: exp.Select, listed: bool) -> bool:
    """Whether the FROM and WHERE of a SELECT give the same rows each time, and may get one more join."""
    group = select.args.get("group")
    keys = syntax.grouping_keys(group) if group is not None else []
    if listed or any(isinstance(syntax.unwrapped(key), exp.Literal) or key.find(exp.Query) for key in keys):
        return False
    if group is not None and syntax.has_grouping_sets(group) and not syntax.has_finest_set(group):
        return False
    joins = select.args.get("joins") or ()
    if any(map(_comma, joins)) and any(join.args.get("side") in ("RIGHT", "FULL") for join in joins):
        return False  # there CROSS JOIN would not mean what the comma means
    # Subqueries in conditions and arguments stay where they are: they must give the same in both readings.
    places = [select.args.get("where"), *select.expressions]
    places += [join.args.get("on") for join in joins]
    inner = [query for place in places if place is not None for query in place.find_all(exp.Query)]
    return all(map(is_row_wise, inner))


def _comma(join: exp.Join) -> bool:
    return not any(join.args.get(part) for part in ("on", "side", "kind", "method"))


def without_commas(select: exp.Select) -> None:
    """Write CROSS JOIN for commas: a comma binds less than the join that is to come after all sources."""
    for join in filter(_comma, select.args.get("joins") or ()):
        join.set("kind", "CROSS")


def is_row_wise(query: exp.Expr) -> bool:
    """Whether a query looks at each row by itself, so that it gives the same rows each time."""
    if any(isinstance(node, exp.Window | exp.Group | exp.Distinct | exp.Limit | exp.Offset) for node in query.walk()):
        return False
    if any(syntax.aggregate_name(node) is not None for node in query.walk()):
        return False
    return all(
        isinstance(node, exp.Union) and not node.args.get("distinct") for node in query.find_all(exp.SetOperation)
    )


def materialise(select: exp.Select, ctes: list[exp.CTE], prefix: str) -> None:
    """Have everything computed once that is not simply read row by row."""
    for part in ctes:
        if not is_row_wise(part.this):
            part.set("materialized", True)
    for number, place in enumerate([select.args["from_"], *(select.args.get("joins") or ())]):
        source = place.this
        if isinstance(source, exp.Subquery) and not is_row_wise(source.this):
            name = f"{prefix}rows_of_{number}"
            ctes.append(cte(name, source.this))
            place.set("this", exp.Table(this=exp.to_identifier(name, quoted=True), alias=source.args["alias"]))


class Kept:
    """The rows of a statement, kept by all that its groups are made of; and the same statement over them."""

    def __init__(self, select: exp.Select, prefix: str) -> None:
        self._name = f"{prefix}rows"
        self._values: dict[str, exp.Expr] = {}
        self.rows = exp.Select(
            expressions=[],
            from_=select.args.get("from_"),
            joins=select.args.get("joins"),
            where=select.args.get("where"),
        )
        group = select.args.get("group")
        keys = syntax.grouping_keys(group) if group is not None else []
        written = {syntax.unwrapped(key).sql() for key in keys}
        for projection in list(select.expressions):
            self._over(projection, written)
        for key in keys:
            inner = syntax.unwrapped(key)
            inner.replace(self._column(inner))
        for part in ("from_", "joins", "where"):
            select.set(part, None)
        select.set("from_", from_(self._name))

    def _over(self, projection: exp.Expr, keys: set[str]) -> None:
        value = projection.unalias()
        if syntax.unwrapped(value).sql() in keys:
            value.replace(self._column(syntax.unwrapped(value)))
            return
        for unit in syntax.aggregates_in(value):
            call, condition = syntax.split_filter(unit)
            for argument in (*syntax.arguments(call), *([condition] if condition is not None else [])):
                self._replace(argument)
            for order in unit.find_all(exp.Ordered):
                self._replace(order.this)
        for grouping in list(value.find_all(exp.Grouping, exp.GroupingId)):
            for key in list(grouping.expressions):
                inner = syntax.unwrapped(key)
                inner.replace(self._column(inner))

    def _replace(self, node: exp.Expr) -> None:
        if not isinstance(node, exp.Literal | exp.Star | exp.Null | exp.Boolean):
            node.replace(self._column(node))

    def _column(self, value: exp.Expr) -> exp.Expr:
        text = value.sql()
        if text not in self._values:
            name = f"{self._name}_{len(self._values)}"
            self.rows.append("expressions", alias(value.copy(), name))
            self._values[text] = column(name, self._name)
        return self._values[text].copy()

    def count(self, count: Count) -> Count:
        """Return a count over the kept rows."""
        condition = self._column(count.condition) if count.condition is not None else None
        return Count(self._carrier(count.carrier), condition, count.minimum)

    def spread(self, spread: Spread) -> Spread:
        """Return a spread over the kept rows."""
        return Spread(self._carrier(spread.carrier), self._column(spread.value), spread.kind)

    def value(self, value: exp.Expr) -> exp.Expr:
        """Return a value of a row over the kept rows."""
        return self._column(value)

    def _carrier(self, given: Carrier) -> Carrier:
        person = self._column(given.person)
        marker = self._column(given.marker) if given.optional else given.marker
        return Carrier(given.domain, given.kind, person, marker, given.optional, given.listed)

    def cte(self) -> exp.CTE:
        """Return the part of WITH that keeps the rows, once all that is needed of them has been asked for."""
        return cte(self._name, self.rows)


def listed(counts: Iterable[Count]) -> bool:
    """Whether a count is over lists of persons."""
    return any(count.carrier.listed for count in counts)
