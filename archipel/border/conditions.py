"""Rows of a table that may take part in what leaves: those for which its policy's ``rows_where`` holds, and no others.

Nothing is added to a statement: one whose scan of the table does not say the condition itself is refused, so that an
answer is never over other rows than its SQL says. The condition must stand, as a conjunct of its own and in the words
of the policy, in the WHERE of the SELECT that has the table in its FROM, where every row that fails it is dropped
before it can matter: not where an outer join may put NULL in place of the table's rows, or a join chooses among them.
"""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from archipel import errors, schema
from archipel.border import refusal
from archipel.border.parsing import DIALECT


def check(tree: exp.Expr, used: list[schema.Table]) -> None:
    """Refuse a qualified statement of whose scans one does not carry its table's condition.

    Raises:
        ArchipelError: POLICY_REFUSED with the condition to add.
    """
    limited = {table.name.lower(): table.policy.rows_where for table in used if table.policy.rows_where}
    if not limited:
        return
    for scan in tree.find_all(exp.Table):
        condition = limited.get(scan.name.lower()) if isinstance(scan.this, exp.Identifier) else None
        if condition and not _is_said(scan, condition):
            raise _missing(scan, condition)


def _is_said(scan: exp.Table, condition: str) -> bool:
    select = _block_of(scan)
    if select is None or select.args.get("where") is None or _rows_may_matter_before(scan, select):
        return False
    alias = scan.alias_or_name.lower()
    said = {_in_words(part, alias) for part in _conjuncts(select.args["where"].this)}
    return all(_in_words(part, "") in said for part in _conjuncts(sqlglot.parse_one(condition, read=DIALECT)))


def _block_of(scan: exp.Table) -> exp.Select | None:
    """Return the SELECT in whose FROM a table stands plainly: not sampled, pivoted, renamed or within brackets."""
    alias = scan.args.get("alias")
    changed = any(scan.args.get(key) for key in ("pivots", "sample", "joins", "laterals"))
    if changed or (alias is not None and alias.args.get("columns")):
        return None
    holder = scan.parent
    select = holder.parent if isinstance(holder, exp.From | exp.Join) else None
    return select if isinstance(select, exp.Select) else None


def _rows_may_matter_before(scan: exp.Table, select: exp.Select) -> bool:
    """Whether rows of a table can decide about others before WHERE drops them."""
    if select.args.get("sample") or select.args.get("laterals"):
        return True
    for join in select.args.get("joins") or []:
        side, kind = (str(join.args.get(key) or "").upper() for key in ("side", "kind"))
        if join.args.get("method") or kind in {"SEMI", "ANTI"} or side not in {"", "LEFT"}:
            return True
        if join is scan.parent and side:
            return True
    return False


def _conjuncts(condition: exp.Expr) -> list[exp.Expr]:
    condition = condition.unnest()
    if not isinstance(condition, exp.And):
        return [condition]
    return [part for side in condition.flatten() for part in _conjuncts(side)]


def _in_words(part: exp.Expr, alias: str) -> str:
    """Return a conjunct as text in which columns of the source ``alias`` have no source before them."""
    copied = part.copy()
    for column in list(copied.find_all(exp.Column)):
        if column.table.lower() == alias:
            name = exp.column(exp.to_identifier(column.name.lower(), quoted=True))
            if column is copied:
                copied = name
            else:
                column.replace(name)
    return copied.sql(DIALECT)


def _missing(scan: exp.Table, condition: str) -> errors.ArchipelError:
    rule = refusal.ROWS_WHERE
    plain = refusal.refused(rule, scan, scan.name)
    return errors.error(
        rule.code,
        plain.info.message,
        hint=f"Write beside the table, as a part of WHERE that is joined by AND: {condition}. On the side of an outer "
        "join that may be missing, write it within a derived table in place of the table.",
        position=plain.info.position,
        rule=rule.name,
    )
