"""The statement's outermost SELECT: what may leave, and the rewriting that holds the threshold inside the SQL."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from archipel import aggregates, schema
from archipel.border import (
    bins,
    histogram,
    linking,
    masked,
    parsing,
    perturbed,
    placement,
    populations,
    private,
    refusal,
    sensitive,
    sketched,
    syntax,
    threshold,
)
from archipel.border.analysis import Analysis
from archipel.border.block import Block
from archipel.border.decision import BorderContext, Lattice, Release
from archipel.border.demands import adds_up, demands
from archipel.border.refusal import refused
from archipel.border.relations import BaseColumn

RULE_ROWS = "tables that are not protected: rows may leave"
RULE_OPEN_AGGREGATE = "tables that are not protected: aggregates may leave"
RULE_THRESHOLD = "protected tables: aggregates of groups with enough persons may leave"

_OVER_GROUPS = (("having", "HAVING"), ("order", "ORDER BY"), ("limit", "LIMIT"), ("offset", "OFFSET"))
_CHOICES = (("distinct", "DISTINCT"), ("qualify", "QUALIFY"))


def open_release(tree: exp.Expr, analysis: Analysis, used: list[schema.Table], names: list[str]) -> Release:
    """Return the release of a statement over tables that are not protected."""
    form = min((table.policy.coordinator_form for table in used), default=schema.Form.ROWS)
    if form < schema.Form.KEYS:
        _aggregating(tree, analysis)
        _gives_no_list(tree)
        rule = RULE_OPEN_AGGREGATE
    else:
        analysis.relation(tree, None, {})
        rule = RULE_ROWS
    restore_names(tree, names)
    return Release(
        sql=parsing.render(tree),
        form=form,
        protected=False,
        min_persons=0,
        tables=own_tables(used, analysis.context),
        columns=read_columns(analysis, []),
        rule=rule,
        withheld_column=None,
        persons_column=None,
        tell_withheld_count=False,
    )


def protected_release(tree: exp.Expr, analysis: Analysis, protected: list[schema.Table]) -> Release:
    """Return the release of a statement that names protected tables."""
    select, block, units = _aggregating(tree, analysis)
    if not block.carriers:
        raise refused(refusal.NO_PERSONS, select)
    persons = f"{analysis.prefix}persons"
    withheld = f"{analysis.prefix}withheld"
    names = threshold.Names(analysis.prefix, persons, withheld)
    asked = analysis.context.for_ledger and analysis.context.privacy is None
    behind = populations.of(select, block.distinct_carriers(), analysis) if asked else ()
    placed = placement.of(select, block.distinct_carriers(), analysis) if asked else None
    masking = analysis.context.scope is schema.Scope.FEDERATION
    with_codes, everywhere = sensitive.rows(select, block, analysis, protected)
    least = max(analysis.min_persons, everywhere)
    if analysis.context.privacy is not None:
        sql, described = private.rewritten(select, block, units, analysis, protected, least)
        return replace(
            _decided(analysis, protected),
            sql=sql,
            rule=f"{private.RULE} {described.epsilon:g}",
            min_persons=described.min_persons,
            withheld_column=withheld if analysis.context.rewrites else None,
            persons_column=described.persons if analysis.context.rewrites else None,
            tell_withheld_count=False,
            private=described,
        )
    noisy = perturbed.of(select, block, units, analysis, protected)
    wanted = demands(units, block, analysis.expressions, protected, least, sensitive=with_codes, only_counts=masking)
    if masking:
        tables = own_tables(list(analysis.tables.values()), analysis.context)
        read = read_columns(analysis, protected)
        whole = masked.masked_release(select, block, wanted.counts, analysis, protected, tables=tables, columns=read)
        return replace(whole, populations=behind)
    quantiles = histogram.counted(select, block, analysis) if asked else ()
    cells = histogram.taken_out(select, block, analysis)
    if not analysis.context.rewrites:
        return replace(_decided(analysis, protected), perturbed=noisy)
    held = threshold.held(select, wanted, names)
    statement = held.statement
    if cells is not None:
        statement = histogram.attached(statement, cells, block.distinct_carriers(), names)
    pseudonymised = linking.with_scans(statement, analysis)
    return replace(
        _decided(analysis, protected),
        sql=parsing.render(statement),
        withheld_column=withheld,
        persons_column=persons,
        populations=behind,
        placement=placed,
        quantiles=quantiles,
        pseudonymised=pseudonymised,
        lattice=_lattice(held, wanted, units),
        rounding=wanted.rounding,
        perturbed=noisy,
    )


def _lattice(held: threshold.Held, wanted: threshold.Demands, units: list[exp.Expr]) -> Lattice | None:
    if not held.grouping:
        return None
    added = (
        {unit.parent.alias for unit in units if unit.parent is not None and adds_up(unit)} if wanted.rounding else set()
    )
    return Lattice(held.grouping, held.keys, held.rows, tuple(name for name in wanted.rounded if name in added))


def _decided(analysis: Analysis, protected: list[schema.Table]) -> Release:
    """Return the release of a statement that is allowed, for who only asks whether it is: without the SQL to run."""
    return Release(
        sql="",
        form=sketched.form(analysis),
        protected=True,
        min_persons=analysis.min_persons,
        tables=own_tables(list(analysis.tables.values()), analysis.context),
        columns=read_columns(analysis, protected),
        rule=RULE_THRESHOLD,
        withheld_column=None,
        persons_column=None,
        tell_withheld_count=all(table.policy.tell_withheld_count for table in protected),
        pseudonymised=any(name in analysis.linked for name in analysis.tables),
    )


def _aggregating(tree: exp.Expr, analysis: Analysis) -> tuple[exp.Select, Block, list[exp.Expr]]:
    """Judge the outermost SELECT; return it, its block and its aggregates."""
    if isinstance(tree, exp.SetOperation):
        raise refused(refusal.TOP_SET_OPERATION, tree)
    if not isinstance(tree, exp.Select):
        raise refused(refusal.ROW_LEVEL, tree)
    pairs = _keys_in_outputs(tree)
    block, _ = analysis.open(tree, None, {})
    block.outermost = True
    expressions = analysis.expressions
    for projection in tree.expressions:
        value = syntax.unwrapped(projection.unalias())
        if expressions.person(value, block) is not None:
            raise refused(refusal.PERSON_OUTPUT, value, projection.unalias().name)
    group = tree.args.get("group")
    aggregates = [unit for projection in tree.expressions for unit in syntax.aggregates_in(projection)]
    if group is None and not aggregates:
        raise refused(refusal.ROW_LEVEL, tree)
    for clause, words in (*_OVER_GROUPS, *_CHOICES):
        if tree.args.get(clause):
            raise refused(refusal.TOP_CLAUSE, tree.args[clause], words)
    _judge_group_keys(group, block, analysis)
    units: list[exp.Expr] = []
    for number, projection in enumerate(tree.expressions):
        if number in pairs:
            # The key as it was analysed: a subquery in it got other aliases than its copy among the outputs.
            value = projection.unalias()
            value.replace(pairs[number].copy())
            continue
        value = syntax.unwrapped(projection.unalias())
        inner = syntax.aggregates_in(value)
        windowed = any(isinstance(node, exp.Window) for node in syntax.own_nodes(value))
        if not inner and not windowed:
            expressions.columns(value, block)
        if _is_constant(value):
            continue
        if any(unit is value for unit in inner):
            expressions.aggregate(value, block)
            units.append(value)
        elif windowed:
            raise refused(refusal.TOP_CLAUSE, value, "A window")
        elif not isinstance(value, exp.Grouping | exp.GroupingId):
            raise refused(refusal.OUTPUT_EXPRESSION, value, projection.alias_or_name)
    sketched.judge(tree, analysis)
    return tree, block, units


def _gives_no_list(select: exp.Expr) -> None:
    for unit in syntax.aggregates_in(select):
        call, _ = syntax.split_filter(unit)
        name = syntax.aggregate_name(call) or ""
        if aggregates.REGISTRY[name].leak is aggregates.Leak.ROWS:
            raise refused(refusal.ROWS_AGGREGATE, call, name)


def _keys_in_outputs(select: exp.Select) -> dict[int, exp.Expr]:
    """Return the group key that an output shows, by the output's number."""
    group = select.args.get("group")
    if group is None:
        return {}
    if group.args.get("all"):
        raise refused(refusal.CONSTRUCT, group, "GROUP BY ALL in the outermost SELECT")
    keys = {syntax.unwrapped(key): syntax.unwrapped(key) for key in syntax.grouping_keys(group)}
    values = [syntax.unwrapped(projection.unalias()) for projection in select.expressions]
    return {number: keys[value] for number, value in enumerate(values) if value in keys and not _is_constant(value)}


def _judge_group_keys(group: exp.Expr | None, block: Block, analysis: Analysis) -> None:
    for key in map(syntax.unwrapped, syntax.grouping_keys(group)) if group is not None else ():
        if analysis.expressions.person(key, block) is not None:
            raise refused(refusal.PERSON_GROUP_KEY, key, key.name)
        columns = analysis.expressions.columns(key, block)
        refused_column = next((c for c in sorted(columns, key=_spelled) if not c.groupable), None)
        if refused_column is not None:
            raise _no_group_key(key, refused_column, analysis)


def _no_group_key(key: exp.Expr, base: BaseColumn, analysis: Analysis) -> Exception:
    policy = analysis.context.tables[base.table.lower()].policy
    if policy.role_of(base.column) is not schema.Role.IDENTIFIER:
        return refused(refusal.MEASURE_GROUP_KEY, key, _spelled(base))
    allowed = {name.lower(): kind for name, kind in policy.bins}.get(base.column.lower(), "")
    named = next((c for c in key.find_all(exp.Column) if c.name.lower() == base.column.lower()), None)
    written = bins.example(exp.column(base.column, named.table if named is not None else None), allowed)
    hint = f"Group by {written}, or by a coarser part of it." if written else ""
    return refused(refusal.IDENTIFIER_GROUP_KEY, key, _spelled(base), hint=hint)


def _spelled(column: BaseColumn) -> str:
    return f"{column.table}.{column.column}"


def _is_constant(value: exp.Expr) -> bool:
    if isinstance(value, exp.Literal | exp.Boolean | exp.Null):
        return True
    if isinstance(value, exp.Neg | exp.Cast | exp.TryCast | exp.Paren):
        return _is_constant(value.this)
    return False


def own_tables(used: list[schema.Table], context: BorderContext) -> tuple[str, ...]:
    """Return the names of the node's own tables among those that a statement reads."""
    return tuple(sorted(table.name for table in used if table.name not in context.received))


def read_columns(analysis: Analysis, protected: list[schema.Table]) -> tuple[str, ...]:
    """Return every column that the statement reads; the threshold reads the person columns."""
    read = {f"{table}.{column}" for table, column in analysis.touched}
    for table in protected:
        column = table.column(table.person_column or "")
        if column is not None and table.name.lower() in analysis.tables:
            read.add(f"{table.name}.{column.name}")
    return tuple(sorted(read))


def restore_names(tree: exp.Expr, names: list[str]) -> None:
    """Give the outputs the spelling that they had, or that the catalogue has for a star's columns."""
    first = tree
    while isinstance(first, exp.SetOperation | exp.Subquery):
        first = first.this
    if not isinstance(first, exp.Select):
        return
    for number, projection in enumerate(list(first.expressions)):
        if not isinstance(projection, exp.Alias):
            continue
        value = projection.this
        given = names[number] if len(names) == len(first.expressions) else ""
        spelled = given or (value.name if isinstance(value, exp.Column) else "")
        if spelled.lower() == projection.alias.lower() and spelled != "*":
            projection.set("alias", exp.to_identifier(spelled, quoted=True))
