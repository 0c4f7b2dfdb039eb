"""Differential privacy: what a node may compute of a statement so that noise hides any one person.

The statement that runs has each person in no more than so many groups, taken by a keyed hash, and in each no more than
so much of each aggregate; the node then adds noise for just that much (``node_agent.privacy``). What is proved, and for
what, stands in docs/privacy.md.

No number leaves that this statement gives: the node adds noise to every one, and shows only groups with enough persons.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from sqlglot import exp

from archipel import schema
from archipel.border import contributions, parsing, refusal
from archipel.border.analysis import Analysis
from archipel.border.block import Block
from archipel.border.building import alias, call, column, cte, double, filtered, from_, number, or_zero, table
from archipel.border.contributions import Each, Part
from archipel.border.measures import SEED_COLUMN
from archipel.border.refusal import refused
from archipel.noise import NoisyColumn, Private
from archipel.request import Privacy

RULE = "protected tables: aggregates with noise for differential privacy may leave, for an epsilon of"
"""The number stands behind: whoever approves a statement approves it with its epsilon."""

_WHOLE = re.compile(r"U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)")
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")


def limits_of(
    asked: Privacy, protected: Sequence[schema.Table], select: exp.Expr
) -> tuple[schema.PrivacyLimits, float]:
    """Return the strictest limits of the tables with what the request takes less of, and the largest epsilon.

    Raises:
        ArchipelError: POLICY_REFUSED when a table is not answered so, or not with so large an epsilon.
    """
    given = []
    for one in protected:
        if one.policy.privacy is None:
            raise refused(refusal.PRIVACY_NOT_OFFERED, select, one.name)
        given.append(one.policy.privacy)
    most = min(limits.max_epsilon for limits in given)
    if asked.epsilon > most:
        raise refused(refusal.PRIVACY_EPSILON, select, hint=f"At most {most:g} may be asked for.")
    limits = schema.PrivacyLimits(
        max_epsilon=most,
        delta=min(limits.delta for limits in given),
        groups_per_person=min([l.groups_per_person for l in given] + [asked.groups_per_person or 1 << 30]),
        rows_per_person=min([l.rows_per_person for l in given] + [asked.rows_per_person or 1 << 30]),
    )
    return limits, asked.epsilon


def rewritten(
    select: exp.Select,
    block: Block,
    units: list[exp.Expr],
    analysis: Analysis,
    protected: Sequence[schema.Table],
    min_persons: int,
) -> tuple[str, Private]:
    """Return the statement that a node runs for a differentially private answer, and what it then does.

    Raises:
        ArchipelError: POLICY_REFUSED or BORDER_REFUSED.
    """
    asked = analysis.context.privacy
    if asked is None:
        raise ValueError("the request does not ask for differential privacy")
    if analysis.context.received or analysis.linked or analysis.context.destination != schema.COORDINATOR:
        raise refused(refusal.NOISE_PERSONS, select)
    limits, epsilon = limits_of(asked, protected, select)
    carrier = contributions.owner(block, select)
    parts = contributions.parts(units, block, analysis)
    prefix = analysis.prefix
    found = contributions.each(select, carrier, parts, prefix, catching=True)
    columns = [
        _column(part, f"{prefix}steps_{number}", limits) for number, part in enumerate(parts) if not part.everyone
    ]
    groups = limits.groups_per_person if found.keys else 1
    private = Private(
        epsilon=epsilon,
        delta=limits.delta,
        max_epsilon=limits.max_epsilon,
        groups_per_person=groups,
        # Where some codes need more persons, all groups do: which of them have such a code must not show.
        min_persons=max([min_persons, *(codes.min_persons for t in protected for codes in t.policy.sensitive)]),
        keys=len(found.keys),
        persons=f"{prefix}persons",
        persons_outputs=tuple(name for part in parts if part.everyone for name in part.outputs),
        columns=tuple(columns),
        outputs=tuple(projection.alias_or_name for projection in select.expressions),
        seed_table=f"{prefix}seed",
    )
    if not analysis.context.rewrites:
        return "", private
    statement = _statement(select, parts, found, private, prefix)
    return parsing.render(statement, catching=True), private


def _column(part: Part, steps: str, limits: schema.PrivacyLimits) -> NoisyColumn:
    if part.summed is None:
        most = 1 if part.persons else limits.rows_per_person
        return NoisyColumn(part.outputs, part.label, steps, most, 1.0, count=True)
    owner, summed = part.summed
    bound = owner.policy.privacy.bound_of(summed.name) if owner.policy.privacy is not None else None
    if bound is None:
        hint = f"Its holder would have to declare tables.{owner.name}.privacy.bounds.{summed.name} in the policy."
        raise refused(refusal.PRIVACY_BOUNDS, part.unit, f"{owner.name}.{summed.name}", hint=hint)
    per_unit = _steps_per_unit(summed, bound)
    if per_unit is None:
        hint = f"Its holder would have to declare a 'unit' in tables.{owner.name}.privacy.bounds.{summed.name}."
        raise refused(refusal.PRIVACY_BOUNDS, part.unit, f"{owner.name}.{summed.name}", hint=hint)
    most = math.ceil(max(abs(bound.low), abs(bound.high)) * per_unit)
    return NoisyColumn(part.outputs, part.label, steps, max(1, most), per_unit, count=False)


def _steps_per_unit(summed: schema.Column, bound: schema.Bound) -> float | None:
    if bound.unit:
        return 1 / bound.unit
    kind = summed.type.upper()
    if _WHOLE.fullmatch(kind):
        return 1.0
    decimal = _DECIMAL.fullmatch(kind)
    return float(10 ** int(decimal[2])) if decimal else None


def _statement(select: exp.Select, parts: Sequence[Part], found: Each, private: Private, prefix: str) -> exp.Select:
    chosen, place = f"{prefix}chosen", f"{prefix}place"
    ctes = list(found.ctes)
    source = found.name
    if found.keys:
        ctes.append(cte(chosen, _in_few_groups(found, private, place)))
        source = chosen
    keys = contributions.shown_keys(select)
    constants = contributions.constants(select)
    values = {name: value for part, value in zip(parts, found.values, strict=True) for name in part.outputs}
    outputs: list[exp.Expr] = []
    for name in private.outputs:
        if name in keys:
            outputs.append(alias(column(found.keys[keys[name]], source), name))
        elif name in constants:
            outputs.append(alias(constants[name].copy(), name))
        else:
            # NULL of the type that the aggregate has: the node puts the noisy number in its place.
            typed = filtered(exp.Max(this=column(values[name], source)), exp.false())
            outputs.append(alias(typed, name))
    noisy = iter(private.columns)
    for part, value in zip(parts, found.values, strict=True):
        if not part.everyone:
            one = next(noisy)
            outputs.append(alias(exp.Sum(this=_clipped(part, column(value, source), one)), one.steps))
    outputs.append(alias(exp.Count(this=exp.Star()), private.persons))
    statement = exp.Select(
        with_=exp.With(expressions=ctes, recursive=found.recursive or None), expressions=outputs, from_=from_(source)
    )
    if found.keys:
        few = exp.LTE(this=column(place, source), expression=number(private.groups_per_person))
        statement.set("where", exp.Where(this=few))
        statement.set("group", exp.Group(expressions=[column(key, source) for key in found.keys]))
        # By key, since the order in which groups were met is that of rows.
        order = [exp.Ordered(this=column(key, source), nulls_first=False) for key in found.keys]
        statement.set("order", exp.Order(expressions=order))
    enough = exp.GTE(this=exp.Count(this=exp.Star()), expression=number(private.min_persons))
    statement.set("having", exp.Having(this=enough))
    return statement


def _in_few_groups(found: Each, private: Private, place: str) -> exp.Select:
    """Return the persons in their groups, each group of a person with its place in an order by a keyed hash."""
    seed = private.seed_table
    person = call("HASH", exp.cast(column(found.person, found.name), "VARCHAR", dialect="duckdb"))
    keyed = call("HASH", call("XOR", person, column(SEED_COLUMN, seed)), *(column(k, found.name) for k in found.keys))
    window = exp.Window(
        this=exp.RowNumber(),
        partition_by=[column(found.person, found.name)],
        order=exp.Order(expressions=[exp.Ordered(this=keyed, nulls_first=False)]),
        over="OVER",
    )
    return exp.Select(
        expressions=[
            *(alias(column(name, found.name), name) for name in (*found.keys, found.person, *found.values)),
            alias(window, place),
        ],
        from_=from_(found.name),
        joins=[exp.Join(this=table(seed), kind="CROSS")],
    )


def _clipped(part: Part, value: exp.Expr, noisy: NoisyColumn) -> exp.Expr:
    """Return what a person adds in whole steps, within the bounds; NULL and what is no number add 0.

    Clipped before it is rounded, and again after: then no error of floating-point arithmetic passes the bounds.
    """
    low, high = 0.0, float(noisy.most)
    if part.summed is not None:
        owner, summed = part.summed
        bound = owner.policy.privacy.bound_of(summed.name) if owner.policy.privacy is not None else None
        if bound is None:
            raise ValueError("a sum without bounds")
        low, high = bound.low * noisy.per_unit, bound.high * noisy.per_unit
    given = double(value)
    if part.summed is not None:
        given = exp.Case(ifs=[exp.If(this=exp.Not(this=exp.IsNan(this=given.copy())), true=given)])
    scaled: exp.Expr = or_zero(given)
    if noisy.per_unit != 1.0:
        scaled = exp.Mul(this=scaled, expression=number(noisy.per_unit))
    within = call("LEAST", call("GREATEST", scaled, _literal(low)), _literal(high))
    whole = exp.cast(call("ROUND", within), "BIGINT", dialect="duckdb")
    return call("LEAST", call("GREATEST", whole, number(-noisy.most)), number(noisy.most))


def _literal(value: float) -> exp.Expr:
    return exp.cast(number(value), "DOUBLE", dialect="duckdb")
