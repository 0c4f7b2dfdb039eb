"""Names before analysis: stars, USING and aliases resolved, so that every column names its source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from archipel import errors, schema
from archipel.border import refusal, syntax
from archipel.border.decision import BorderContext
from archipel.border.parsing import DIALECT, LIBRARY_ERRORS, check_syntax
from archipel.border.refusal import refused

_QUOTED = re.compile(r"[Cc]olumn '([^']*)'")


def qualified(tree: exp.Expr, context: BorderContext) -> exp.Expr:
    """Return the tree with every column bound to a source, stars and USING expanded. ``tree`` is used up.

    A star means the columns that permit and policy let be named, the person column included, ``_node`` not.

    Raises:
        ArchipelError: SQL_UNKNOWN_TABLE, SQL_UNKNOWN_COLUMN, SQL_AMBIGUOUS_COLUMN, SQL_UNSUPPORTED.
    """
    _inline_windows(tree)
    named = {table.name.lower(): table for table in tree.find_all(exp.Table)}
    known: dict[str, Mapping[str, str]] = {}
    visible: dict[str, list[str]] = {}
    for name in named:
        if name in context.inputs:
            known[name] = {column.name.lower(): "VARCHAR" for column in context.inputs[name]}
            visible[name] = list(known[name])
        elif name in context.tables:
            table = context.tables[name]
            known[name] = {column.name.lower(): "VARCHAR" for column in table.columns}
            if name not in context.received:
                known[name] = {**known[name], schema.NODE_COLUMN: "VARCHAR"}
            visible[name] = [column.name.lower() for column in table.columns if _usable(table, column, context)]
    declared: dict[str, Any] = dict(known)
    shown: dict[str, Any] = dict(visible)
    try:
        tree = qualify(
            tree,
            dialect=DIALECT,
            schema=MappingSchema(declared, visible=shown, dialect=DIALECT),
        )
    except OptimizeError as cause:
        raise _explained(cause, known, tree) from None
    except RecursionError:
        raise refused(refusal.TOO_LARGE) from None
    except LIBRARY_ERRORS:
        raise refused(refusal.CONSTRUCT, None, "in this form") from None
    # Resolving can make new syntax: the name of a table in place of a column becomes the whole row, persons included.
    check_syntax(tree)
    _resolve_distinct_on(tree)
    _name_outputs(tree)
    return tree


def _usable(table: schema.Table, column: schema.Column, context: BorderContext) -> bool:
    if table.name not in context.received and not context.permit.allows_column(table.name, column.name):
        return False
    person = table.policy.protected and column.name.lower() == (table.person_column or "").lower()
    return person or table.policy.role_of(column.name) is not schema.Role.HIDDEN


def _explained(cause: OptimizeError, known: Mapping[str, Mapping[str, str]], tree: exp.Expr) -> errors.ArchipelError:
    found = _QUOTED.search(str(cause))
    if found is None:
        return refused(refusal.UNKNOWN_COLUMN)
    name = found[1]
    column = next((c for c in tree.find_all(exp.Column) if c.name.lower() == name.lower()), None)
    several = sum(name.lower() in columns for columns in known.values()) > 1
    rule = refusal.AMBIGUOUS_COLUMN if several else refusal.UNKNOWN_COLUMN
    return refused(rule, column, name)


def _inline_windows(tree: exp.Expr) -> None:
    """Write the windows of WINDOW clauses where they are used."""
    for select in tree.find_all(exp.Select):
        named = {window.name.lower(): window for window in select.args.get("windows") or ()}
        if not named:
            continue
        if any(window.args.get("alias") is not None for window in named.values()):
            raise refused(refusal.CONSTRUCT, select, "a window based on another window")
        select.set("windows", None)
        for use in list(syntax.own_nodes(select)):
            name = use.args.get("alias") if isinstance(use, exp.Window) else None
            if name is None or name.name.lower() not in named:
                continue
            use.set("alias", None)
            for part in ("partition_by", "order", "spec"):
                value = named[name.name.lower()].args.get(part)
                if value and not use.args.get(part):
                    use.set(part, [v.copy() for v in value] if isinstance(value, list) else value.copy())


def _resolve_distinct_on(tree: exp.Expr) -> None:
    """Write out the outputs that DISTINCT ON and its ORDER BY name by their alias."""
    for select in tree.find_all(exp.Select):
        distinct = select.args.get("distinct")
        if distinct is None or distinct.args.get("on") is None:
            continue
        outputs = {projection.alias_or_name.lower(): projection.unalias() for projection in select.expressions}
        for clause in (distinct, select.args.get("order")):
            for column in list(syntax.own_nodes(clause)) if clause is not None else ():
                if isinstance(column, exp.Column) and not column.table and column.name.lower() in outputs:
                    column.replace(outputs[column.name.lower()].copy())


def _name_outputs(tree: exp.Expr) -> None:
    """Give outputs of one SELECT that have the same name different ones: the first keeps it, references mean that."""
    for select in tree.find_all(exp.Select):
        if select is tree:
            continue
        names = [projection.alias_or_name.lower() for projection in select.expressions]
        seen: set[str] = set()
        for projection, name in zip(list(select.expressions), names, strict=True):
            unique, number = name, 1
            while unique in seen or (unique != name and unique in names):
                number += 1
                unique = f"{name}_{number}"
            seen.add(unique)
            if unique != name or not isinstance(projection, exp.Alias):
                value = projection.unalias()
                aliased = exp.Alias(alias=exp.to_identifier(unique, quoted=True))
                projection.replace(aliased)
                aliased.set("this", value)
