"""Refuses joins that no one would wait for: too many at once, or of sides that nothing ties together, by their rows.

Rows come from what the nodes registered. Where a condition compares the two sides, no product is made, and nothing is
refused. What is not known here is taken to be small: the deadline ends what this lets through.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from archipel import errors
from archipel.border import effort
from archipel.schema import Distribution
from coordinator.catalog import Catalog
from coordinator.planner import rewrite
from coordinator.planner.conditions import conjuncts
from coordinator.planner.positions import position_of

MAX_PAIRS = 1_000_000_000
"""Combinations that a join may make of rows: one core of an engine counts about 100 million of them a second."""

_TYING = (exp.EQ, exp.NullSafeEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between, exp.In)


def refuse_effort(tree: exp.Query) -> None:
    """Make sure that the engine can plan a query in good time.

    Raises:
        ArchipelError: SQL_TOO_LARGE.
    """
    found = effort.most_joins(tree)
    if found > effort.MAX_JOINS:
        raise errors.error(
            errors.SQL_TOO_LARGE,
            f"This makes {found:,} joins at once, of which {effort.MAX_JOINS} are the limit.",
            hint="Split it into several queries.",
            position=position_of(tree),
        )
    levels = effort.most_levels(tree)
    if levels > effort.MAX_LEVELS:
        raise errors.error(
            errors.SQL_TOO_LARGE,
            f"Here {levels:,} aggregations or scalar subqueries stand in each other, "
            f"of which {effort.MAX_LEVELS} are the limit.",
            hint="Split it into several queries.",
            position=position_of(tree),
        )


def refuse_products(tree: exp.Query, catalog: Catalog) -> None:
    """Make sure that no SELECT of a query multiplies tables beyond ``MAX_PAIRS`` rows.

    Raises:
        ArchipelError: SQL_TOO_LARGE with the place of the join.
    """
    known = _Known(catalog)
    for query in effort.from_the_inside(tree):
        known.rows[id(query)] = _rows_of(query, known) if isinstance(query, exp.Select) else _of_branches(query, known)
        if isinstance(query.parent, exp.CTE):
            known.parts[query.parent.alias.lower()] = known.rows[id(query)]


@dataclass(slots=True)
class _Known:
    """What is known of rows: of tables, of queries that were looked at before, and of WITH parts by name."""

    catalog: Catalog
    rows: dict[int, int] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)


def _rows_of(select: exp.Select, known: _Known) -> int:
    """Return the estimated rows of a SELECT's joins, after checking each of them; 1 for what aggregates to one row."""
    sources = rewrite.sources_of(select)
    if not sources:
        return 1
    joins = rewrite.joins_of(select)
    conditions = conjuncts(select.args.get("where"))
    parts = [_Part({_alias(sources[0])}, _rows_in(sources[0], known), None)]
    for join in joins:
        if join.args.get("side"):
            parts = [_product(parts)]  # an outer join comes after those before it; the engine moves inner ones
        alias = _alias(join.this)
        ties = [*conditions, *conjuncts(join.args.get("on"))]
        tied = [p for p in parts if _is_tied(join) or any(_ties(condition, alias, p.aliases) for condition in ties)]
        made = _Part({alias}, _rows_in(join.this, known), join)
        parts = [p for p in parts if p not in tied] + [_tied([*tied, made])]
    rows = _product(parts).rows
    limit = select.args.get("limit")
    if limit is not None and isinstance(limit.args.get("expression"), exp.Literal) and limit.expression.name.isdigit():
        rows = min(rows, int(limit.expression.name))
    is_one_row = select.args.get("group") is None and any(p.find(exp.AggFunc) for p in select.expressions)
    return 1 if is_one_row and not any(p.find(exp.Window) for p in select.expressions) else max(rows, 1)


@dataclass(frozen=True, slots=True)
class _Part:
    """Sources that conditions tie together, their estimated rows, and the join that began the part."""

    aliases: set[str]
    rows: int
    began: exp.Join | None


def _tied(parts: list[_Part]) -> _Part:
    return _Part(set().union(*(p.aliases for p in parts)), max(p.rows for p in parts), parts[0].began)


def _product(parts: list[_Part]) -> _Part:
    """Return the parts multiplied with each other, which nothing ties together.

    Raises:
        ArchipelError: SQL_TOO_LARGE.
    """
    made = parts[0]
    for part in parts[1:]:
        made = _Part(made.aliases | part.aliases, made.rows * part.rows, made.began or part.began)
        began = part.began or made.began
        if made.rows > MAX_PAIRS and began is not None:
            raise _too_many(made.rows, began)
    return made


def _too_many(rows: int, join: exp.Join) -> errors.ArchipelError:
    return errors.error(
        errors.SQL_TOO_LARGE,
        f"No condition ties the two sides of this join together: about {rows:,} combinations of rows, "
        f"of which {MAX_PAIRS:,} are the limit.",
        hint="Add a condition that compares columns of both, or aggregate each side first.",
        position=position_of(join.this),
    )


def _of_branches(query: exp.Expr, known: _Known) -> int:
    return sum(known.rows.get(id(branch.unnest()), 1) for branch in (query.this, query.expression))


def _rows_in(source: exp.Expr, known: _Known) -> int:
    if isinstance(source, exp.Subquery):
        inner = source.this
        return _rows_in(inner, known) if isinstance(inner, exp.Table) else known.rows.get(id(inner), 1)
    if isinstance(source, exp.Values):
        return max(1, len(source.expressions))
    if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier):
        entry = known.catalog.find(source.name)
        part = known.parts.get(source.name.lower())
        if part is not None or entry is None:
            return part or 1
        rows = [shard.approximate_rows for shard in entry.shards.values()]
        replicated = entry.table.distribution is Distribution.REPLICATED
        return max(1, max(rows, default=1) if replicated else sum(rows))
    return 1


def _is_tied(join: exp.Join) -> bool:
    if join.args.get("using") or join.args.get("method"):
        return True
    kind = str(join.args.get("kind") or "").upper()
    return kind in {"SEMI", "ANTI"} or isinstance(join.this, exp.Unnest | exp.Lateral)


def _ties(condition: exp.Expr, alias: str, left: set[str]) -> bool:
    """Whether a condition compares a source with one to its left; a column without a source may be either's."""
    for part in condition.find_all(*_TYING):
        found = {column.table.lower() for column in part.find_all(exp.Column)}
        unknown = "" in found
        if (alias in found and (found & left or unknown)) or (unknown and len(list(part.find_all(exp.Column))) > 1):
            return True
    return False


def _alias(source: exp.Expr) -> str:
    return str(source.alias_or_name).lower()
