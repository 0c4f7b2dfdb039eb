"""Sensitive codes: rows for which a group needs more persons, where a statement chooses by the codes' column.

A group by diagnosis, a filter on it, a sum of those with it: whoever names the column can single out the rows with a
code. Then each group that has such rows needs the larger number of persons, for all that is told of it. A statement
that does not name the column is as any other: that some of its rows have a code tells nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from archipel import schema
from archipel.border.analysis import Analysis
from archipel.border.block import Block
from archipel.border.building import call
from archipel.border.threshold import Sensitive


def rows(
    select: exp.Select, block: Block, analysis: Analysis, protected: Sequence[schema.Table]
) -> tuple[tuple[Sensitive, ...], int]:
    """Return the conditions on a group's rows, and how many persons every group needs where it cannot be told by row.

    Rows tell where the table stands in the outermost FROM and nowhere else. Below, what was chosen by a code may have
    become any value; there all groups need the larger number.
    """
    found: list[Sensitive] = []
    everywhere = 0
    for table in protected:
        for codes in table.policy.sensitive:
            named = {(t.lower(), c.lower()) for t, c in analysis.touched}
            column = table.column(codes.column)
            if column is None or (table.name.lower(), column.name.lower()) not in named:
                continue
            own = [source for source in block.sources.values() if (source.base or "").lower() == table.name.lower()]
            scans = [node for node in select.find_all(exp.Table) if node.name.lower() == table.name.lower()]
            if len(own) < len(scans):
                everywhere = max(everywhere, codes.min_persons)
                continue
            for source in own:
                text = exp.cast(exp.column(column.name, source.alias, quoted=True), "VARCHAR", dialect="duckdb")
                tests = [call("STARTS_WITH", text.copy(), exp.Literal.string(prefix)) for prefix in codes.prefixes]
                found.append(Sensitive(exp.Paren(this=exp.or_(*tests)), codes.min_persons))
    return tuple(found), everywhere
