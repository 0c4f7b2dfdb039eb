"""What a node gives to a masked total: every group with its partials and its persons in buckets, none of them withheld.

For a threshold that counts the persons of all nodes (``Scope.FEDERATION``) the rewriting of ``threshold`` is not the
node's to do: no node knows how many persons a group has elsewhere. So the statement gives all groups, and the node
hands out nothing of it but keyed hashes of the groups and masked numbers (``archipel.masking``); groups in clear come
from it only after the threshold was held over all nodes. What may be asked at all is judged as for every other release.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from archipel import linkage, schema
from archipel.aggregates import REGISTRY, State
from archipel.border import parsing, readings, refusal, syntax
from archipel.border.analysis import Analysis
from archipel.border.block import Block
from archipel.border.building import alias, call, column, cte, filtered, from_, number
from archipel.border.decision import Masked, MaskedCount, MaskedOutput, MaskedSpread, Release
from archipel.border.persons import Count
from archipel.border.refusal import refused
from archipel.rounds import BUCKETS, LABEL_BYTES

ROUND_TABLE = "archipel_round"
"""A table of one row with the keys of a round in hexadecimal: columns ``label`` and ``person``. Each node registers it
with its engine; the keys never stand in SQL text."""

LABEL = "label"
RULE = "protected tables: masked partials may leave for a total over enough persons of several nodes"

_MOMENTS = {
    "regr_count": (),
    "regr_avgx": ("x",),
    "regr_avgy": ("y",),
    "regr_sxx": ("x", "xx"),
    "regr_syy": ("y", "yy"),
    "regr_sxy": ("x", "y", "xy"),
}
"""The moments, and of which sums beside the number of pairs each is made."""

PARTS = 4
"""Of a node's persons, of each of which a sum is taken: a power of two."""

_DIGITS = 4
"""Hexadecimal, of a person's hash: more buckets than there ever are."""

_WHOLE = frozenset(
    f"{sign}{size}"
    for sign in ("", "U")
    for size in ("TINYINT", "SMALLINT", "INTEGER", "INT", "BIGINT", "HUGEINT", "INT128")
)


def masked_release(
    select: exp.Select,
    block: Block,
    counted: Sequence[Count],
    analysis: Analysis,
    protected: Sequence[schema.Table],
    *,
    tables: tuple[str, ...],
    columns: tuple[str, ...],
) -> Release:
    """Return the release of a judged statement: what a node runs to take part in a round."""
    _may_be_masked(select, analysis, protected)
    bitmaps = analysis.context.bitmaps
    names = _Names(analysis.prefix)
    keys, outputs, ingredients = _outputs(select, block, analysis, names)
    if any(count.carrier.listed for count in counted):
        raise refused(refusal.MASKED, select, "persons of groups within groups")
    population = _population(select)
    with_ = select.args.get("with_")
    select.set("with_", None)
    select.set("expressions", [projection for projection in select.expressions if projection.alias in keys])
    for name, value in ingredients:
        select.append("expressions", alias(value, name))
    # Each person's hash is computed once a row: the engine would compute it again in every aggregate.
    kept = readings.Kept(select, analysis.prefix)
    over_kept = {projection.alias: projection.unalias() for projection in select.expressions}
    hashes = [kept.value(_hashed(count.carrier.person)) for count in counted]
    for place, count in enumerate(map(kept.count, counted)):
        select.append("expressions", alias(count.rows(), names.rows(place)))
        for part in range(bitmaps):
            bits = _bitmap(count, hashes[place], part, bitmaps)
            select.append("expressions", alias(bits, names.bits(place, part)))
    spreads = []
    share = min(table.policy.dominance.share / table.policy.dominance.top for table in protected)
    for name in (name for name, value in ingredients if _adds(value)):
        for place, count in enumerate(counted):
            if count.condition is not None:
                continue
            parts = tuple(names.part(name, place, part) for part in range(PARTS))
            spreads.append(MaskedSpread(name, parts, share))
            for part, found in enumerate(parts):
                select.append("expressions", alias(_part(over_kept[name], hashes[place], part), found))
    common = [*(with_.expressions if with_ is not None else []), kept.cte()]
    statement = _labelled(select, keys, names, common)
    return Release(
        sql=parsing.render(statement),
        form=schema.Form.AGGREGATE,
        protected=True,
        min_persons=analysis.min_persons,
        tables=tables,
        columns=columns,
        rule=RULE,
        withheld_column=None,
        persons_column=None,
        tell_withheld_count=all(table.policy.tell_withheld_count for table in protected),
        masked=Masked(
            keys=tuple(keys),
            outputs=tuple(outputs),
            sums=tuple(name for name, _ in ingredients),
            counts=tuple(
                MaskedCount(
                    domain=count.carrier.domain,
                    minimum=count.minimum,
                    optional=count.where is not None,
                    rows=names.rows(number),
                    bitmaps=tuple(names.bits(number, part) for part in range(bitmaps)),
                )
                for number, count in enumerate(counted)
            ),
            spreads=tuple(spreads),
            population=population,
        ),
    )


def _may_be_masked(select: exp.Select, analysis: Analysis, protected: Sequence[schema.Table]) -> None:
    """Refuse what would make a total of several nodes show one node's, and what masks cannot do yet."""
    context = analysis.context
    if select.args.get("laterals"):
        raise refused(refusal.MASKED, select, "lateral joins")
    if context.inputs or context.received:
        raise refused(refusal.MASKED, select, "tables that come with the task")
    if any(column.name.lower() == schema.NODE_COLUMN for column in select.find_all(exp.Column)):
        raise refused(refusal.MASKED, select, f"the column {schema.NODE_COLUMN}")
    group = select.args.get("group")
    if group is not None and syntax.has_grouping_sets(group):
        raise refused(refusal.MASKED, group, "several groupings at once")
    for table in protected:
        person = table.column(table.person_column or "")
        if person is None or not linkage.has_pseudonym(person.type):
            raise refused(refusal.MASKED, select, "persons who are not identified by a text or a whole number")
        if table.policy.rounding or table.policy.sensitive:
            raise refused(refusal.MASKED, select, "tables with rounding or sensitive codes")


# What the total is made of


class _Names:
    """The names of the statement's columns, none of which the statement itself has."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    @property
    def groups(self) -> str:
        return f"{self._prefix}groups"

    def sum(self, number: int) -> str:
        return f"{self._prefix}sum_{number}"

    def part(self, name: str, number: int, part: int) -> str:
        return f"{name}_part_{number}_{part}"

    def rows(self, number: int) -> str:
        return f"{self._prefix}present_{number}"

    def bits(self, number: int, part: int) -> str:
        return f"{self._prefix}bits_{number}_{part}"


class _Sums:
    """The sums that outputs are made of, each once."""

    def __init__(self, names: _Names) -> None:
        self._names = names
        self._known: dict[str, str] = {}
        self.found: list[tuple[str, exp.Expr]] = []

    def name(self, value: exp.Expr) -> str:
        """Return the name of a sum, which is added if it is new."""
        spelled = value.sql("duckdb")
        if spelled not in self._known:
            self._known[spelled] = self._names.sum(len(self.found))
            self.found.append((self._known[spelled], value))
        return self._known[spelled]


def _outputs(
    select: exp.Select, block: Block, analysis: Analysis, names: _Names
) -> tuple[list[str], list[MaskedOutput], list[tuple[str, exp.Expr]]]:
    group = select.args.get("group")
    grouped = {syntax.unwrapped(key) for key in syntax.grouping_keys(group)} if group is not None else set()
    keys, outputs, sums = [], [], _Sums(names)
    shown = set()
    for projection in select.expressions:
        value = syntax.unwrapped(projection.unalias())
        name = projection.alias_or_name
        if value in grouped:
            keys.append(name)
            shown.add(value)
            outputs.append(MaskedOutput(name, "key"))
            continue
        call, condition = syntax.split_filter(value)
        function = syntax.aggregate_name(call)
        if function is None or syntax.is_distinct(call) or call.find(exp.Order):
            raise refused(refusal.MASKED, value, "an output that is neither a group nor a sum")
        if function in _MOMENTS:
            outputs.append(_moment(name, function, call, condition, sums, block, analysis))
        elif REGISTRY[function].state in {State.COUNT, State.SUM}:
            outputs.append(MaskedOutput(name, "sum", sums=(sums.name(value.copy()),)))
        else:
            raise refused(refusal.MASKED, value, "an aggregate that is not made of sums")
    if shown != grouped:
        raise refused(refusal.MASKED, select, "groups by what is not among the outputs")
    return keys, outputs, sums.found


def _moment(
    name: str,
    function: str,
    call: exp.Expr,
    condition: exp.Expr | None,
    sums: _Sums,
    block: Block,
    analysis: Analysis,
) -> MaskedOutput:
    """Return a moment by exact sums of whole numbers: of values, of their squares and of their products."""
    y, x = (_as_whole(argument, block, analysis) for argument in syntax.arguments(call))
    there = [
        part for part in (condition, *(value.copy().is_(exp.null()).not_() for value, _ in (y, x))) if part is not None
    ]
    where = exp.and_(*(exp.paren(part.copy()) for part in there))

    def over_pairs(aggregate: exp.Expr) -> exp.Expr:
        return exp.Filter(this=aggregate, expression=exp.Where(this=where.copy()))

    def summed(*factors: exp.Expr) -> exp.Expr:
        product = factors[0].copy()
        for factor in factors[1:]:
            product = exp.Mul(this=product, expression=factor.copy())
        return over_pairs(exp.Sum(this=product))

    parts = {"x": (x[0],), "y": (y[0],), "xx": (x[0], x[0]), "yy": (y[0], y[0]), "xy": (x[0], y[0])}
    found = [sums.name(over_pairs(exp.Count(this=exp.Star(), big_int=True)))]
    found += [sums.name(summed(*parts[part])) for part in _MOMENTS[function]]
    return MaskedOutput(name, function, sums=tuple(found), scales=(x[1], y[1]))


def _as_whole(argument: exp.Expr, block: Block, analysis: Analysis) -> tuple[exp.Expr, int]:
    """Return an argument as a whole number, and how many digits of it stand behind the point."""
    value = syntax.unwrapped(argument)
    while isinstance(value, exp.Cast) and value.to.is_type("double"):
        value = syntax.unwrapped(value.this)
    kind = _type_of(value, block, analysis)
    scale = 0
    if kind.startswith("DECIMAL("):
        scale = int(kind.removesuffix(")").split(",")[1])
    elif kind not in _WHOLE:
        raise refused(refusal.MASKED, argument, "moments of values that are not known to be whole numbers or decimals")
    scaled: exp.Expr = value.copy()
    if scale:
        scaled = exp.Mul(this=exp.paren(scaled), expression=exp.Literal.number(10**scale))
    return exp.cast(scaled, "HUGEINT", dialect="duckdb"), scale


def _type_of(value: exp.Expr, block: Block, analysis: Analysis) -> str:
    """Return the type of a column of a table or of a CAST, in DuckDB's spelling; nothing where it is not known."""
    if isinstance(value, exp.Cast | exp.TryCast):
        return value.to.sql("duckdb").upper().replace(" ", "")
    source = block.sources.get(value.table.lower()) if isinstance(value, exp.Column) else None
    if source is None or source.base is None:
        return ""
    table = analysis.tables.get(source.base.lower())
    column = table.column(value.name) if table is not None else None
    return column.type.upper().replace(" ", "") if column is not None else ""


# Persons


def _bitmap(count: Count, hashed: exp.Expr, part: int, bitmaps: int) -> exp.Expr:
    """Return SQL for 64 of the buckets that a person falls into by a keyed hash: a bit for each with somebody in it."""
    bucket = exp.BitwiseAnd(this=hashed.copy(), expression=number(BUCKETS - 1))
    one = exp.cast(number(1), "UBIGINT", dialect="duckdb")
    bit = exp.BitwiseLeftShift(this=one, expression=exp.paren(bucket))
    where: list[exp.Expr] = [hashed.copy().is_(exp.null()).not_()]
    if count.where is not None:
        where.append(exp.paren(count.where.copy()))
    if bitmaps > 1:
        above = exp.BitwiseRightShift(this=hashed.copy(), expression=number(6))
        among = exp.Mod(this=exp.paren(above), expression=number(bitmaps))
        where.append(exp.EQ(this=exp.paren(among), expression=number(part)))
    zero = exp.cast(number(0), "UBIGINT", dialect="duckdb")
    return call("COALESCE", filtered(call("BIT_OR", bit), exp.and_(*where)), zero)


def _hashed(person: exp.Expr) -> exp.Expr:
    """Return SQL for 16 bits of a person's keyed hash; NULL for nobody.

    The first 16 bits of MD5 under a random key of 256 bits: what is known against MD5 is of no use against so few bits,
    and the engine takes half as long for it as for SHA-256. Its own hash could differ between versions of two nodes.
    """
    text = exp.cast(person.copy(), "VARCHAR", dialect="duckdb")
    whole = call("MD5", exp.DPipe(this=_key("person"), expression=text))
    digits = call("SUBSTR", whole, number(1), number(_DIGITS))
    hexadecimal = exp.paren(exp.DPipe(this=exp.Literal.string("0x"), expression=digits))
    return exp.cast(hexadecimal, "UINTEGER", dialect="duckdb")


def _adds(unit: exp.Expr) -> bool:
    return syntax.aggregate_name(syntax.split_filter(unit)[0]) in {"sum", "fsum"}


def _part(unit: exp.Expr, hashed: exp.Expr, part: int) -> exp.Expr:
    """Return the sum of sizes over a part of the persons, by their hash."""
    aggregate, condition = syntax.split_filter(unit)
    (argument,) = syntax.arguments(aggregate)
    where: list[exp.Expr] = [] if condition is None else [exp.paren(condition.copy())]
    bits = exp.BitwiseRightShift(this=hashed.copy(), expression=number(4 * _DIGITS - PARTS.bit_length() + 1))
    where.append(exp.EQ(this=exp.paren(bits), expression=number(part)))
    return filtered(exp.Sum(this=call("ABS", argument.copy())), exp.and_(*where))


# The statement


def _labelled(select: exp.Select, keys: Sequence[str], names: _Names, common: Sequence[exp.Expr]) -> exp.Select:
    """Return the groups, each with its label: the keyed hash of its keys, of which none can be read as another."""
    text: exp.Expr = _key("label")
    for name in keys:
        value = exp.cast(column(name, names.groups), "VARCHAR", dialect="duckdb")
        size = exp.cast(call("STRLEN", value.copy()), "VARCHAR", dialect="duckdb")
        told = exp.DPipe(this=exp.DPipe(this=size, expression=exp.Literal.string(":")), expression=value)
        known = exp.Paren(this=told)
        text = exp.DPipe(this=text, expression=call("COALESCE", known, exp.Literal.string("-")))
    digest = call("SHA256", text)
    start = call("SUBSTR", digest, number(1), number(2 * LABEL_BYTES))  # in hexadecimal
    shown = [alias(call("UNHEX", start), LABEL)]
    shown += [alias(column(p.alias, names.groups), p.alias) for p in select.expressions]
    groups = cte(names.groups, select)
    return exp.Select(with_=exp.With(expressions=[*common, groups]), expressions=shown, from_=from_(names.groups))


def _population(select: exp.Select) -> str:
    """Return the text of whose rows a statement is over, whatever it asks of them."""
    over = exp.select("1")
    for part in ("with_", "from_", "joins", "where"):
        value = select.args.get(part)
        over.set(part, [v.copy() for v in value] if isinstance(value, list) else value.copy() if value else None)
    return over.sql("duckdb")


def _key(name: str) -> exp.Expr:
    return exp.Subquery(this=exp.Select(expressions=[column(name, ROUND_TABLE)], from_=from_(ROUND_TABLE)))
