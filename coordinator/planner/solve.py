"""Cuts a bound query: what can run at the nodes goes into node stages, the rest runs at the coordinator over them.

``solve`` returns the query with the parts that run elsewhere replaced by exchanges. What is whole at one node runs
there, and what distributes is cut into partials. Rows of several nodes that must meet are brought together where that
takes the fewest bytes over borders: at one of the nodes, at several, or at the coordinator. A way is closed when it is
not proved right or when a border refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from sqlglot import exp

from archipel import errors
from archipel.schema import NODE_COLUMN
from coordinator.plan import Alternative, StageKind
from coordinator.planner import aggregation, rewrite
from coordinator.planner.assembly import Assembly, Mark, Source
from coordinator.planner.choose import (
    AT_COORDINATOR,
    LEAST_STAGES,
    drafts,
    forbidden,
    rows_of_persons,
    with_forbidden,
)
from coordinator.planner.conditions import conjuncts, is_correlated, subqueries_in
from coordinator.planner.cut import cut_aggregation
from coordinator.planner.draft import Draft, described, placements, realised, shipped
from coordinator.planner.group import placement_of
from coordinator.planner.inputs import joined_as, one, prepared, read
from coordinator.planner.intersect import intersections
from coordinator.planner.pieces import placed_column
from coordinator.planner.placement import Mixed, Placement, check_subqueries, place, place_rows
from coordinator.planner.problems import closes_way, to_tell, unsupported
from coordinator.planner.ranges import sites_left
from coordinator.planner.rules import Rules
from coordinator.planner.tables import entries_in, gives_groups_only, is_protected
from coordinator.planner.topk import limit_rows
from coordinator.planner.values import wanted

Way = Callable[[], exp.Query]

_MADE = "/"
"""Stands for the name of an exchange that is not made yet; no alias can be so called without a fault of the parser."""


@dataclass(frozen=True, slots=True)
class _Option:
    """A way to bring rows together: its bytes over borders, and the draft, if it is not the way by the coordinator.

    ``stages`` are those that it takes before what is brought together can be used.
    """

    size: int
    stages: int
    description: str
    draft: Draft | None

    def cost(self, rules: Rules) -> int:
        """Return what it costs, as bytes."""
        return self.draft.cost(rules) if self.draft is not None else self.size + self.stages * rules.stage_bytes


class Solver:
    """Cuts queries into the stages of one assembly."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._catalog = assembly.catalog

    def solve(self, query: exp.Query, whole: exp.Query | None = None) -> exp.Query:
        """Return the query as the coordinator runs it. ``whole`` is the same query as its author wrote it.

        Raises:
            ArchipelError: why the best way is closed, when all are.
        """
        if not entries_in(query, self._catalog):
            return query.copy()
        problems: list[errors.ArchipelError] = []
        whole_closed: list[errors.ArchipelError] = []
        correlated = query.parent is not None and is_correlated(query)
        protected = is_protected(query, self._catalog)
        if not correlated and not protected:
            found = self._tried(partial(self._whole, query, whole or query), whole_closed)
            if found is not None:
                return found
        if isinstance(query, exp.Select) and not correlated and not query.args.get("with_"):
            grouped = _as_grouping(query)
            if aggregation.is_aggregating(grouped):
                mark, start = self._assembly.mark(), self._assembly.bytes_over_borders()
                found = self._tried(partial(self._aggregated, grouped, broadcast=False), problems)
                if found is not None:
                    size = self._assembly.bytes_over_borders() - start
                    rather = self._finished_at_a_node(query, mark, size)
                    return rather or self._spread_rather(query, grouped, mark, size) or found
        refusals: list[errors.ArchipelError] = []
        found = self._cheapest(query, problems, refusals, correlated=correlated, protected=protected)
        if found is not None:
            known = self._assembly.not_pushed
            known += [reason for reason in _reasons(problems) if reason not in known]
            return found
        # That not all rows are at one node is no news: it is told only where there is nothing else to tell.
        raise with_forbidden(to_tell([*problems, *refusals, *whole_closed]), refusals)

    def _spread_rather(self, query: exp.Query, grouped: exp.Select, before: Mark, size: int) -> exp.Query | None:
        """Spread a block's rows by its groups rather than bring its values to the coordinator, if that is cheaper.

        ``before`` is where the assembly stood, ``size`` the bytes of the stages that it holds now for the block; they
        stay where there is no other way.
        """
        rules, assembly = self._assembly.rules, self._assembly
        calls = aggregation.aggregates_in(grouped)
        if not rules.shuffle or size < LEAST_STAGES * rules.stage_bytes or not any(map(wanted, calls)):
            return None
        guarded = gives_groups_only(query, self._catalog)
        thought_of = drafts(query, self._catalog, rules, above=guarded)
        spread = [d for d in thought_of if any(shipment.part_column for shipment in d.shipments)]
        best = min(spread, key=lambda draft: draft.cost(rules), default=None)
        if best is None or best.cost(rules) >= size + rules.stage_bytes:
            return None
        made = assembly.stages[len(before.stages) :]
        if any(stage.kind is StageKind.NODE and len(stage.sites) < len(best.sites) for stage in made):
            return None  # nodes without a row are left out, which those that send to each other are not
        after = assembly.mark()
        assembly.back(before)
        found = self._tried(partial(self._drafted, best, query, grouped=guarded), [])
        if found is None:
            assembly.back(after)
        else:
            why = "it moves more bytes" if size >= best.size else "one place would have all the work"
            assembly.alternatives.append(Alternative("bring the values to the coordinator", size, why))
        return found

    def _finished_at_a_node(self, query: exp.Select, before: Mark, size: int) -> exp.Query | None:
        """The block at a node to which others send sums by fewer columns, in place of partials of ``size`` bytes.

        A block that groups by what a copied table says of a key sends all of that with every partial. Where sums by the
        key go to one node, the rest is looked up there, once; with a LIMIT no more goes on. None where this spares less
        than half: how many groups each node has is only guessed.
        """
        rules = self._assembly.rules
        if not query.args.get("limit") or size <= 2 * rules.stage_bytes or gives_groups_only(query, self._catalog):
            return None
        after = self._assembly.mark()
        for draft in drafts(query, self._catalog, rules, above=False):
            sums = all(isinstance(s.tree, exp.Select) and s.tree.args.get("group") for s in draft.shipments)
            if len(draft.sites) > 1 or draft.sites == AT_COORDINATOR or not sums or 2 * draft.cost(rules) > size:
                continue
            self._assembly.back(before)
            found = self._tried(partial(self._drafted, draft, query, grouped=False), [])
            if found is not None:
                central = "aggregate at every node, and merge at the coordinator"
                self._assembly.alternatives.append(Alternative(central, size, "it moves more bytes"))
                return found
        self._assembly.back(after)
        return None

    def _cheapest(
        self,
        query: exp.Query,
        problems: list[errors.ArchipelError],
        refusals: list[errors.ArchipelError],
        *,
        correlated: bool,
        protected: bool,
    ) -> exp.Query | None:
        """The way with the fewest bytes over borders among those that bring rows of several nodes together.

        What the way by the coordinator moves is estimated like the others', unless sub-blocks of its may be aggregated
        before they are sent, or a LIMIT leaves few rows: then it is known only once it is made. Why drafts are closed
        goes to ``refusals``, why the way by the coordinator is goes to ``problems``.
        """

        def centrally() -> exp.Query | None:
            ways = self._central_ways(query, correlated=correlated, protected=protected)
            return next((found for way in ways if (found := self._tried(way, problems)) is not None), None)

        if correlated:
            return centrally()
        before, start = self._assembly.mark(), self._assembly.bytes_over_borders()
        grouped = gives_groups_only(query, self._catalog)
        # Where only groups may leave, rows do not, wherever they are brought together.
        closed_to_rows = grouped and not (
            isinstance(query, exp.Select) and aggregation.is_aggregating(_as_grouping(query))
        )
        if closed_to_rows:
            refusals.append(rows_of_persons(query, self._catalog))
        thought_of = [] if closed_to_rows else drafts(query, self._catalog, self._assembly.rules, above=grouped)
        rules = self._assembly.rules
        central = next((draft for draft in thought_of if draft.sites == AT_COORDINATOR), None)
        size, stages = (None, 1) if central is None else (central.size, len(central.shipments))
        made: exp.Query | None = None
        if size is None or query.args.get("limit") or self._groups_below(query):
            made = centrally()
            size = self._assembly.bytes_over_borders() - start if made is not None else None
        after = self._assembly.mark()
        options = [
            _Option(draft.size, len(shipped(draft)) + 1, described(draft), draft)
            for draft in thought_of
            if draft.sites != AT_COORDINATOR
        ]
        if size is not None:
            options.insert(0, _Option(size, stages, "bring the rows together at the coordinator", None))
        options.sort(key=lambda option: option.cost(rules))
        closed: list[Alternative] = []
        while options:
            option = options.pop(0)
            self._assembly.back(before)
            if option.draft is not None:
                found = self._tried(partial(self._drafted, option.draft, query, grouped=grouped), refusals)
            elif made is not None:
                self._assembly.back(after)
                found = made
            else:
                found = made = centrally()
                option = replace(option, size=self._assembly.bytes_over_borders() - start)
                if found is not None and options and options[0].cost(rules) < option.cost(rules):
                    after = self._assembly.mark()  # more than was thought: the next ones may be better
                    options = sorted([option, *options], key=lambda other: other.cost(rules))
                    continue
            if found is not None:
                others = [Alternative(o.description, o.size, _why_not_taken(o, option)) for o in options]
                self._assembly.alternatives += [*closed, *others]
                return found
            last = refusals if option.draft is not None else problems
            closed.append(Alternative(option.description, option.size, last[-1].info.message))
        return None

    def _groups_below(self, query: exp.Query) -> bool:
        """Whether a block within a query may be aggregated over several nodes before it is sent."""
        return any(
            select is not query
            and aggregation.is_aggregating(select)
            and not is_correlated(select)
            and not ((placed := placement_of(select, self._catalog)) is not None and placed.single)
            for select in query.find_all(exp.Select)
        )

    def _tried(self, way: Way, problems: list[errors.ArchipelError]) -> exp.Query | None:
        mark = self._assembly.mark()
        try:
            return way()
        except Mixed as mixed:
            problems.append(unsupported(mixed))
        except errors.ArchipelError as refused:
            if not closes_way(refused):
                raise
            problems.append(refused)
        self._assembly.back(mark)
        return None

    def _central_ways(self, query: exp.Query, *, correlated: bool, protected: bool) -> Iterator[Way]:
        if query.args.get("with_"):
            yield partial(_refuse_recursive, query)
            return
        if isinstance(query, exp.Select) and not correlated:
            grouped = _as_grouping(query)
            if aggregation.is_aggregating(grouped):
                yield partial(self._aggregated, grouped, broadcast=True)
            if not protected or not aggregation.is_aggregating(grouped):
                yield partial(self._rows, query)
        yield partial(self._descended, query)

    def _drafted(self, draft: Draft, query: exp.Query, *, grouped: bool) -> exp.Query:
        """The block at the nodes of a draft, once its shipments are there."""
        closed = forbidden(draft, self._catalog, self._assembly.permit)
        if closed is not None:
            raise closed
        if len(draft.sites) == 1:
            placed = Placement(draft.sites, False)
        else:
            assert isinstance(draft.tree, exp.Select)
            placed = place_rows(draft.tree, self._catalog, draft.inputs())
        matched = intersections(draft, self._catalog, self._assembly.permit)
        tree, inputs = realised(draft.tree, draft.sites, draft.shipments, self._assembly, matched)
        if len(draft.sites) == 1 and not grouped:
            source = self._assembly.node_stage(rewrite.with_unique_outputs(tree), draft.sites, inputs)
            return read(source, query.named_selects)
        if not isinstance(tree, exp.Select):
            raise Mixed("What is at several nodes cannot be put together there.", query)
        aggregating = _as_grouping(tree)
        if not aggregation.is_aggregating(aggregating):
            return self._rows_at(tree, placed, inputs, query)
        return self._cut_at(aggregating, placed, inputs)

    def _cut_at(self, work: exp.Select, placed: Placement, inputs: dict[str, Source]) -> exp.Query:
        """Partial aggregates at the nodes, merged and finished at the coordinator."""
        if not placed.single:
            at_nodes = [*aggregation.aggregates_in(work), *rewrite.parts(work, "group")]
            check_subqueries(at_nodes, placed, self._catalog, placements(inputs))
        sites = self._sites_left(work, self._sites(placed, work), inputs)
        outside = cut_aggregation(work, placed, sites, inputs, self._assembly)
        return self._solve_subqueries(outside)

    def _whole(self, query: exp.Query, whole: exp.Query) -> exp.Query:
        """All of it at one node."""
        placed = place(query, self._catalog)
        if not placed.single:
            raise Mixed("Its rows are at several nodes.", query)
        written = query if self._hides_a_table(whole) else whole
        source = self._assembly.node_stage(rewrite.with_unique_outputs(written), self._sites(placed, query), {})
        return read(source, query.named_selects)

    def _hides_a_table(self, query: exp.Query) -> bool:
        return any(self._catalog.find(cte.alias_or_name) is not None for cte in query.find_all(exp.CTE))

    def _aggregated(self, select: exp.Select, *, broadcast: bool) -> exp.Query:
        """Partial aggregates where the rows are, over open sources that come by the coordinator with ``broadcast``."""
        work, inputs = prepared(select, self._assembly, self.solve, grouped=True, broadcast=broadcast)
        placed = place_rows(work, self._catalog, inputs)
        at_nodes = [*aggregation.aggregates_in(work), *rewrite.parts(work, "group")]
        check_subqueries(at_nodes, placed, self._catalog, inputs)
        return self._cut_at(work, placed, inputs)

    def _rows(self, select: exp.Select) -> exp.Query:
        """The joined and filtered rows from where they are, only the columns needed; the rest at the coordinator."""
        work, inputs = prepared(select, self._assembly, self.solve, grouped=False, broadcast=False)
        return self._rows_at(work, place_rows(work, self._catalog, inputs), inputs, select)

    def _rows_at(self, work: exp.Select, placed: Placement, inputs: dict[str, Source], select: exp.Query) -> exp.Query:
        sites = self._sites(placed, select)
        above = rewrite.parts(
            work, "expressions", "distinct", "group", "having", "qualify", "windows", "order", "limit"
        )
        correlated = _correlated_in(above)
        check_subqueries(correlated, placed, self._catalog, placements(inputs))
        values = {value.copy(): index for index, value in enumerate(dict.fromkeys(correlated))}
        for value in correlated:
            value.replace(rewrite.column(_MADE, f"c{values[value]}"))
        used = rewrite.columns_used(above, rewrite.aliases_of(work))
        names = {c: f"c{len(values) + i}" for i, c in enumerate(used)}
        outputs = [*values, *(placed_column(c, select) for c in used)]
        aliased = [rewrite.aliased(output, f"c{i}") for i, output in enumerate(outputs)]
        stage = exp.select(*(aliased or [one()]))
        for key in ("from_", "joins", "laterals", "where"):
            stage.set(key, work.args.get(key))
        if not values and len(sites) > 1 and self._assembly.rules.topk:
            limit_rows(stage, work)
        source = self._assembly.node_stage(stage, self._sites_left(work, sites, inputs), inputs)
        rest = work.copy()
        for key in ("joins", "laterals", "where"):
            rest.set(key, None)
        rest.set("from_", exp.From(this=rewrite.table(source.name)))
        renamed = {c: (source.name, name) for c, name in names.items()}
        rewrite.renamed(rest, renamed | {(_MADE, f"c{i}"): (source.name, f"c{i}") for i in values.values()})
        return self._solve_subqueries(rest)

    def _descended(self, query: exp.Query) -> exp.Query:
        """The block itself at the coordinator, over its sources wherever they are."""
        if isinstance(query, exp.SetOperation):
            return self._descended_set(query)
        if not isinstance(query, exp.Select):
            raise Mixed(f"{query.key.upper()} cannot be split over nodes in this place.", query)
        rest = query.copy()
        for original, source in zip(rewrite.sources_of(query), rewrite.sources_of(rest), strict=True):
            if not entries_in(source, self._catalog):
                continue
            if source.args.get("sample") or source.args.get("pivots"):
                raise Mixed("A sample or PIVOT over rows of several nodes.", original)
            held, replaced = (n.this if isinstance(n, exp.Lateral) else n for n in (original, source))
            if isinstance(replaced, exp.Subquery) and isinstance(replaced.this, exp.Query):
                replaced.this.replace(self.solve(held.this))
            elif isinstance(source, exp.Table):
                source.replace(joined_as(self._ship(original, query), source))
        return self._solve_subqueries(rest)

    def _descended_set(self, query: exp.SetOperation) -> exp.Query:
        """Its branches each for themselves; a chain of them is walked, not nested, since people write long ones."""
        chain = [query]
        while isinstance(chain[-1].this, exp.SetOperation):
            chain.append(chain[-1].this)
        made: exp.Expr = self._branch(chain[-1].this)
        for operation in reversed(chain):
            others = {k: v for k, v in operation.args.items() if k not in {"this", "expression"}}
            copied = {k: v.copy() if isinstance(v, exp.Expr) else v for k, v in others.items()}
            made = type(operation)(this=made, expression=self._branch(operation.expression), **copied)
        assert isinstance(made, exp.Query)
        return made

    def _branch(self, branch: exp.Expr) -> exp.Expr:
        if isinstance(branch, exp.Subquery):
            copied = branch.copy()
            copied.this.replace(self._branch(branch.this))
            return copied
        if not isinstance(branch, exp.Query):
            raise Mixed(f"{branch.key.upper()} cannot be split over nodes in this place.", branch)
        return self.solve(branch)

    def _ship(self, table: exp.Expr, select: exp.Select) -> Source:
        """The rows of one table, filtered and projected, to the coordinator."""
        alias = table.alias_or_name
        entry = self._catalog.find(table.name)
        assert entry is not None
        known = {c.name.lower() for c in entry.table.columns} | {NODE_COLUMN}
        used = [c for c in rewrite.columns_used(select.iter_expressions(), {alias}) if c[1] in known]
        columns = [rewrite.aliased(placed_column(c, select), c[1]) for c in used]
        stage = exp.select(*(columns or [one()]))
        plain = table.copy()
        for key in ("joins", "laterals"):
            plain.set(key, None)
        stage.set("from_", exp.From(this=plain))
        condition = _pushable(select, alias) if self._assembly.rules.pushdown else None
        if condition is not None:
            stage.set("where", exp.Where(this=condition))
        placed = place_rows(stage, self._catalog)
        return self._assembly.node_stage(stage, self._sites_left(stage, self._sites(placed, table), {}), {})

    def _solve_subqueries(self, query: exp.Query) -> exp.Query:
        """Plan, in place, the subqueries in the expressions of a block that runs at the coordinator."""
        for part in _expression_parts(query):
            for subquery in subqueries_in(part):
                if entries_in(subquery, self._catalog):
                    subquery.replace(self.solve(subquery))
        return query

    def _sites_left(self, block: exp.Expr, sites: tuple[str, ...], inputs: Mapping[str, Source]) -> tuple[str, ...]:
        """Return the nodes that can have a row of a block; all of them where others send to them as they are."""
        return sites if inputs else sites_left(block, sites, self._catalog)

    def _sites(self, placed: Placement, query: exp.Expr) -> tuple[str, ...]:
        nodes = placed.nodes
        if nodes is None:
            raise Mixed("Its own rows are at no node.", query)
        if not nodes:
            raise errors.error(errors.NODE_UNAVAILABLE, "No node that holds these tables can be asked.")
        if placed.replicated:
            attached = [n for n in nodes if n in self._catalog.attached]
            return ((attached or list(nodes))[0],)
        return nodes


def _why_not_taken(option: _Option, taken: _Option) -> str:
    """Return why an option was not even tried."""
    shared = taken.draft.spared if taken.draft is not None else 0
    if shared and option.size < taken.size and option.stages <= taken.stages:
        return "one place would have all the work, for the bytes that it spares"
    return "it moves more bytes" if option.size >= taken.size else "it takes more stages for the bytes that it spares"


def _reasons(problems: list[errors.ArchipelError]) -> list[str]:
    """Return why parts of a query are not computed where their rows are, each reason once."""
    told = [problem.info.message for problem in problems if problem.info.code is errors.SQL_UNSUPPORTED]
    reasons = (text.removeprefix("This cannot be answered yet. ") for text in told)
    return [reason for reason in dict.fromkeys(reasons) if not reason.startswith("Its ")]


def _refuse_recursive(query: exp.Query) -> exp.Query:
    raise Mixed("A recursive WITH part reads rows of several nodes, or of persons.", query)


def _as_grouping(select: exp.Select) -> exp.Select:
    """Return SELECT DISTINCT a, b as SELECT a, b GROUP BY a, b; anything else as it is."""
    distinct = select.args.get("distinct")
    plain = distinct is not None and distinct.args.get("on") is None
    if not plain or aggregation.is_aggregating(select) or aggregation.has_window(select):
        return select
    if any(subqueries_in(p) for p in select.expressions):
        return select
    keys = [p.unalias() for p in select.expressions if p.find(exp.Column) is not None]
    if not keys:
        return select
    grouped = select.copy()
    grouped.set("distinct", None)
    grouped.set("group", exp.Group(expressions=[key.copy() for key in keys]))
    return grouped


def _expression_parts(query: exp.Query) -> list[exp.Expr]:
    if not isinstance(query, exp.Select):
        return []
    found = rewrite.parts(query, "expressions", "where", "group", "having", "qualify", "windows", "order", "limit")
    found += rewrite.parts(query, "distinct", "offset")
    return [*found, *(join.args["on"] for join in rewrite.joins_of(query) if join.args.get("on") is not None)]


def _correlated_in(parts: list[exp.Expr]) -> list[exp.Expr]:
    """Return the parts of expressions that are made of subqueries over the rows around them, in order."""
    return [_value_of(s) for part in parts for s in subqueries_in(part) if is_correlated(s)]


def _value_of(subquery: exp.Query) -> exp.Expr:
    """Return the expression whose value a subquery decides: the subquery itself, or EXISTS, IN, ANY over it."""
    value: exp.Expr = subquery
    while isinstance(value.parent, exp.Subquery | exp.Exists | exp.Any | exp.All | exp.In | exp.Array):
        value = value.parent
    if isinstance(value, exp.Any | exp.All) and isinstance(value.parent, exp.Binary):
        value = value.parent
    return value


def _pushable(select: exp.Select, alias: str) -> exp.Expr | None:
    """Return what of WHERE may be applied to a source alone before the joins: nothing when there is an outer join."""
    joins = rewrite.joins_of(select)
    if any(join.args.get("side") or join.args.get("kind") in {"SEMI", "ANTI"} for join in joins):
        return None
    where = select.args.get("where")
    kept = [
        c.copy()
        for c in conjuncts(where)
        if not subqueries_in(c) and (used := {column.table for column in c.find_all(exp.Column)}) <= {alias} and used
    ]
    return exp.and_(*kept) if kept else None
