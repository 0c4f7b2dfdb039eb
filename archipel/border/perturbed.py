"""Noise that is the same for the same persons: the statement by which a node knows who is in each released number.

Beside what is released the node runs this statement over the same rows. It gives, for each group and each of its
numbers, a sum of keyed hashes of the distinct persons who are in it, and the largest part that one person has in it.
The noise is a function of the first and a secret of the node, multiplied by the second (``node_agent.perturbation``):
the same persons get the same noise, whatever SQL asks for them, and blowing a number up blows its noise up.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from archipel import schema
from archipel.border import contributions, parsing, refusal
from archipel.border.analysis import Analysis
from archipel.border.block import Block
from archipel.border.building import alias, call, column, filtered, from_, known, number, table
from archipel.border.contributions import Part
from archipel.border.measures import SEED_COLUMN
from archipel.border.refusal import refused
from archipel.noise import Perturbed, PerturbedColumn


def of(
    select: exp.Select, block: Block, units: list[exp.Expr], analysis: Analysis, protected: Sequence[schema.Table]
) -> Perturbed | None:
    """Return how noise is made for a statement, None where no policy wants any.

    Raises:
        ArchipelError: POLICY_REFUSED where a table gives private answers only; BORDER_REFUSED for what has no noise.
    """
    for one in protected:
        if one.policy.privacy is not None and one.policy.privacy.only:
            raise refused(refusal.PRIVACY_ONLY, select, one.name)
    deviation = max((one.policy.deviation for one in protected), default=0.0)
    if not deviation:
        return None
    carrier = contributions.owner(block, select)
    parts = contributions.parts(units, block, analysis)
    prefix = analysis.prefix
    columns = tuple(
        PerturbedColumn(
            part.outputs, part.label, f"{prefix}people_{n}", f"{prefix}largest_{n}", count=part.summed is None
        )
        for n, part in enumerate(parts)
    )
    found = contributions.each(select, carrier, parts, prefix, catching=False)
    shown = {number_of: name for name, number_of in contributions.shown_keys(select).items()}
    if len(shown) < len(found.keys):
        raise refused(refusal.NOISE_GROUPING, select)
    names = tuple(shown[number_of] for number_of in range(len(found.keys)))
    seed = f"{prefix}seed"
    if not analysis.context.rewrites:
        return Perturbed(deviation, "", found.keys, names, columns, seed)
    # As text a person is the same in every table, whatever type the column has there.
    person = exp.cast(column(found.person, found.name), "VARCHAR", dialect="duckdb")
    keyed = call("HASH", call("XOR", call("HASH", person), column(SEED_COLUMN, seed)))
    outputs = [alias(column(key, found.name), key) for key in found.keys]
    for part, value, noisy in zip(parts, found.values, columns, strict=True):
        outputs += _of_part(part, column(value, found.name), keyed, noisy)
    statement = exp.Select(
        with_=exp.With(expressions=list(found.ctes), recursive=found.recursive or None),
        expressions=outputs,
        from_=from_(found.name),
        joins=[exp.Join(this=table(seed), kind="CROSS")],
    )
    if found.keys:
        statement.set("group", exp.Group(expressions=[column(key, found.name) for key in found.keys]))
    return Perturbed(deviation, parsing.render(statement), found.keys, names, columns, seed)


def _of_part(part: Part, value: exp.Column, keyed: exp.Expr, noisy: PerturbedColumn) -> list[exp.Expr]:
    some = known(value) if part.summed is not None else exp.GT(this=value.copy(), expression=number(0))
    largest: exp.Expr = exp.Max(this=exp.Abs(this=value.copy()))
    if part.persons:
        largest = exp.Max(this=call("LEAST", value.copy(), number(1)))
    return [
        alias(filtered(exp.Sum(this=keyed.copy()), some), noisy.people),
        alias(filtered(largest, some), noisy.largest),
    ]
